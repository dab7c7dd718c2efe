
/*
 * Copyright (C) sync for nginx
 */


import "../apiTypes.generated.js";

import { find, report, show } from "../dom.js";
import { joinRoom, syncRequest, upsertSyncEventCallback } from "../sync.js";


const ROOM = "counter";


show();

upsertSyncEventCallback({
    name: "counter/updateCounter", version: "v1",
    callback: ({ serverOutput, clientOutput }) => {
        find("value").textContent = serverOutput.newValue.toFixed(0);
        find("label").textContent = clientOutput.label;
    }
});

report(await joinRoom(ROOM));

for (const amount of [1, -1, 100]) {
    find(`by${amount}`).onclick = async () => report(await syncRequest({
        name: "counter/updateCounter", version: "v1",
        data: { amount }, receiver: ROOM
    }));
}

document.body.dataset.ready = "yes";
