
/*
 * Copyright (C) sync for nginx
 */


import { apiRequest } from "../api.js";
import { find, report, show } from "../dom.js";
import { joinRoom, syncRequest, upsertSyncEventCallback,
         upsertSyncEventStreamCallback } from "../sync.js";


const ROOM = "chat";


show();

function said(text: string, mine: boolean): void {
    const node = document.createElement("li");

    node.textContent = text;
    node.className = mine ? "mine" : "theirs";
    find("messages").append(node);
}

upsertSyncEventStreamCallback({
    name: "chat/sendMessage", version: "v1",
    callback: ({ stream }) => {
        find("speaking").textContent += String(stream.chunk);
        find("chunks").textContent =
            String(Number(find("chunks").textContent) + 1);
    }
});

upsertSyncEventCallback({
    name: "chat/sendMessage", version: "v1",
    callback: ({ serverOutput, clientOutput }) => {
        find("spoken").textContent = find("speaking").textContent;
        find("speaking").textContent = "";
        said(serverOutput.text, clientOutput.mine);
    }
});

report(await joinRoom(ROOM));

const history = await apiRequest("chat/history/v1", {});

if (history.status === "success") {
    for (const { text } of history.messages) {
        said(text, false);
    }
}

find<HTMLFormElement>("form").onsubmit = async (e) => {
    e.preventDefault();

    const text = find<HTMLInputElement>("text");

    report(await syncRequest({
        name: "chat/sendMessage", version: "v1",
        data: { text: text.value }, receiver: ROOM
    }));

    text.value = "";
};

document.body.dataset.ready = "yes";
