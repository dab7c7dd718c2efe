
/*
 * Copyright (C) sync for nginx
 */


import { apiRequest } from "../api.js";
import { find, report, show } from "../dom.js";
import { joinRoom, syncRequest, upsertSyncEventCallback } from "../sync.js";


const ROOM = "board";


show();

function place(card: string, lane: string): void {
    let node = document.getElementById(card);

    if (node === null) {
        node = document.createElement("button");
        node.id = card;
        node.textContent = card;
        node.onclick = async () => {
            const toLane = node!.parentElement?.id === "todo" ? "doing" : "done";

            report(await syncRequest({
                name: "board/moveCard", version: "v1",
                data: { cardId: card, toLane }, receiver: ROOM
            }));
        };
    }

    find(lane).append(node);
}

upsertSyncEventCallback({
    name: "board/moveCard", version: "v1",
    callback: ({ serverOutput }) =>
        place(serverOutput.cardId, serverOutput.toLane)
});

report(await joinRoom(ROOM));

const list = await apiRequest("board/list/v1", {});

report(list);

if (list.status === "success") {
    for (const [card, lane] of Object.entries(list.cards)) {
        place(card, lane);
    }
}

find("clear").onclick = async () =>
    report(await apiRequest("board/clear/v1", {}));

document.body.dataset.ready = "yes";
