
/*
 * Copyright (C) sync for nginx
 */


/*
 * apiRequest() over a plain WebSocket: a frame is a JSON array.
 */


import type { ApiRoutes } from "./apiTypes.generated.js";
import type { SyncError } from "./sync.js";


type Answer<R> = R | SyncError;


export function apiRequest<K extends keyof ApiRoutes>(
    route: K, data: ApiRoutes[K]["input"])
    : Promise<Answer<ApiRoutes[K]["output"]>>
{
    return new Promise((resolve, reject) => {
        const ws = new WebSocket(`ws://${location.host}/ws`);

        ws.onerror = () => reject(new Error("no connection"));

        ws.onopen = () => ws.send(JSON.stringify(
            ["apiRequest", { name: `api/${route}`, data, responseIndex: 1 }]));

        ws.onmessage = ({ data: text }) => {
            const [event, answer] = JSON.parse(text);

            if (event === "apiResponse-1") {
                ws.close();
                resolve(answer);
            }
        };
    });
}
