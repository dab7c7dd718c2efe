
/*
 * Copyright (C) sync for nginx
 */


import {
    EventClient, EventMeta, SyncClient, SyncError, SyncEvent, SyncEvents,
    SyncStatus
} from "./sync.js";


export declare function useSync(client?: SyncClient): {
    status: SyncStatus,
    syncRequest: SyncClient["syncRequest"]
};

export declare function useRoom(group: string, options?: {
    client?: SyncClient,
    onGap?: (gap: SyncEvents["gap"]) => void
}): { joined: boolean, error: SyncError | null };

export declare function useSyncEvent<N extends string,
                                     V extends string = "v1">(
    subscription: {
        name: N,
        version?: V,
        callback: (event: SyncEvent<`${N}/${V}`>) => void,
        client?: SyncClient
    }): void;

export declare function useSyncEvents(client?: SyncClient): {
    upsertSyncEventCallback: SyncClient["upsertSyncEventCallback"],
    upsertSyncEventStreamCallback:
        SyncClient["upsertSyncEventStreamCallback"]
};

export declare function usePresence(client?: SyncClient): Record<string, {
    status: "afk" | "left",
    endTime?: number
}>;

export declare function useChannel<T = any>(
    channel: string, callback: (data: T, meta: EventMeta) => void,
    options?: { client?: EventClient, event?: string }): void;
