
/*
 * Copyright (C) sync for nginx
 */


/*
 * What an application's routes take and give.  An application adds its own,
 * and syncRequest() and the callbacks know them by name and version:
 *
 *     declare module "./sync.js" {
 *         interface SyncRoutes {
 *             "board/moveCard/v1": {
 *                 input: { cardId: string, toLane: string },
 *                 serverOutput: { status: "success", cardId: string }
 *             }
 *         }
 *     }
 */
export interface SyncRoutes {}

export interface SyncRoute {
    input?: object;
    serverOutput?: object;
    clientOutput?: object;
    stream?: object;
}

type Json = Record<string, any>;

type Key<N extends string, V extends string> = `${N}/${V}`;

type Part<K, P extends keyof SyncRoute> =
    K extends keyof SyncRoutes
    ? SyncRoutes[K] extends Record<P, infer T> ? T : Json
    : Json;


export interface SyncError {
    status: "error";
    message: string;
    errorCode: string;
    errorParams?: { key: string, value: string | number | boolean }[];
    httpStatus: number;
}

export interface SyncSuccess<R = Json> {
    status: "success";
    message?: string;
    result: R;
}

export interface RoomsSuccess {
    status: "success";
    rooms: string[];
}

export interface JoinSuccess extends RoomsSuccess {
    recovered?: boolean;
    reason?: GapReason | null;
    pos?: string;
}

export type SyncAnswer<R = Json> = SyncSuccess<R> | SyncError;
export type RoomsAnswer = RoomsSuccess | SyncError;
export type JoinAnswer = JoinSuccess | SyncError;

export type GapReason = "trimmed" | "expired" | "fork" | "reset" | "overflow"
    | "unavailable" | "new" | "invalid" | "volatile";

export type OfflineDropPolicy = "drop-oldest" | "drop-newest" | "reject";

export type Unsubscribe = () => void;


export interface SyncRequest<N extends string = string,
                             V extends string = "v1">
{
    /* "<service>/<name>" */
    name: N;
    version?: V;
    data?: Part<Key<N, V>, "input">;

    /* The room; roomCode is another word for it. */
    receiver?: string;
    roomCode?: string;

    /* Leave out every connection of the sender's session. */
    ignoreSelf?: boolean;

    signal?: AbortSignal;

    /* ms from sending to the answer */
    timeout?: number;

    /* What the handler streams to its caller. */
    onStream?: (chunk: Part<Key<N, V>, "stream">) => void;

    offlineDropPolicy?: OfflineDropPolicy;

    /* Dropped at once where it would have to wait: cursors, typing. */
    volatile?: boolean;
}

export interface ApiRequest {
    /* "<service>/<name>" */
    name: string;
    version?: string;
    data?: Record<string, unknown>;

    signal?: AbortSignal;

    /* ms from sending to the answer */
    timeout?: number;

    /* What the handler streams. */
    onStream?: (chunk: any) => void;

    offlineDropPolicy?: OfflineDropPolicy;
    volatile?: boolean;
}

/* The handler's object. */
export type ApiAnswer<R = Json> =
    (R & { status: "success"; httpStatus: number }) | SyncError;

export interface SyncEvent<K = string> {
    status: "success" | "stream";
    serverOutput: Part<K, "serverOutput">;
    clientOutput: Part<K, "clientOutput">;
    message?: string;
    stream?: Part<K, "stream">;
}

export interface SyncSubscription<N extends string, V extends string, E> {
    name: N;
    version?: V;
    callback: (event: E) => void;
}


export type SyncStatus =
    "connecting" | "connected" | "reconnecting" | "closed";

export interface StatusDetail {
    /* of the close before */
    code?: number;
    reason?: string;

    /* of the next attempt; the delay is in ms, null till the page is seen */
    attempt?: number;
    delay?: number | null;
}

export interface Meta {
    room: string;
    pos?: string;

    /* an answer is asked for: what the first listener returns */
    ack?: number;
}

export interface SyncEvents {
    connected: {
        clientId: string, userId: string | null, channels: string[],
        timestamp: number
    };
    recovered: { room: string, pos: string };
    gap: { room: string, reason: GapReason, pos: string | null };
    refused: SyncError & { room: string };
    error: SyncError;

    /* Of others in a room, where the server keeps presence. */
    userAfk: { userId: string, endTime: number };
    userBack: { userId: string };
    userLeft: { userId: string };
}

export interface SyncOptions {
    /* "/ws"; http: and https: stand for ws: and wss: */
    url?: string;
    protocols?: string | string[];
    token?: string | null | (() => string | null | Promise<string | null>);
    WebSocket?: new (url: string, protocols?: string | string[]) => any;

    /* Connect at once, true. */
    open?: boolean;

    /*
     * Say when the page is hidden, and let go till it is seen; and, every
     * 10 s, that it is used.  false.
     */
    presence?: boolean;

    /*
     * Every close is followed by another attempt, but 1008 for any reason
     * other than "too slow": a kick, or a refusal.
     */
    reconnect?: boolean
        | ((event: { code: number, reason: string }) => boolean);

    /* ms: 1000, 20000, 20000, 5000, 30000 */
    reconnectBase?: number;
    reconnectCap?: number;
    connectTimeout?: number;
    probeTimeout?: number;
    timeout?: number;

    /* Requests, 200; ms, 3600000; "drop-oldest". */
    queueSize?: number;
    queueAge?: number;
    offlineDropPolicy?: OfflineDropPolicy;
}

export declare class SyncClient {
    constructor(options?: SyncOptions);

    readonly status: SyncStatus;
    readonly clientId: string | null;
    readonly userId: string | null;

    open(): void;
    close(code?: number, reason?: string): void;

    onStatus(
        fn: (status: SyncStatus, detail: StatusDetail) => void): Unsubscribe;

    on<E extends keyof SyncEvents>(
        event: E, fn: (data: SyncEvents[E], meta?: Meta) => void): Unsubscribe;
    on(event: string, fn: (...args: any[]) => unknown): Unsubscribe;

    position(group: string): string | null;
    joinRoom(group: string, options?: { pos?: string }): Promise<JoinAnswer>;
    leaveRoom(group: string): Promise<RoomsAnswer>;
    getJoinedRooms(): Promise<RoomsAnswer>;

    syncRequest<N extends string, V extends string = "v1">(
        request: SyncRequest<N, V>)
        : Promise<SyncAnswer<Part<Key<N, V>, "serverOutput">>>;

    apiRequest<R = Json>(request: ApiRequest): Promise<ApiAnswer<R>>;

    upsertSyncEventCallback<N extends string, V extends string = "v1">(
        subscription: SyncSubscription<N, V, SyncEvent<Key<N, V>>>)
        : Unsubscribe;
    upsertSyncEventCallback<N extends string>(
        name: N, callback: (event: SyncEvent<Key<N, "v1">>) => void)
        : Unsubscribe;

    upsertSyncEventStreamCallback<N extends string, V extends string = "v1">(
        subscription: SyncSubscription<
            N, V, { stream: Part<Key<N, V>, "stream"> }>)
        : Unsubscribe;
    upsertSyncEventStreamCallback<N extends string>(
        name: N,
        callback: (event: { stream: Part<Key<N, "v1">, "stream"> }) => void)
        : Unsubscribe;
}

export declare function connect(options?: string | SyncOptions): SyncClient;


/* The page's one client, and its methods. */

export declare function getClient(options?: string | SyncOptions): SyncClient;

export declare const joinRoom: SyncClient["joinRoom"];
export declare const leaveRoom: SyncClient["leaveRoom"];
export declare const getJoinedRooms: SyncClient["getJoinedRooms"];
export declare const syncRequest: SyncClient["syncRequest"];
export declare const apiRequest: SyncClient["apiRequest"];
export declare const upsertSyncEventCallback:
    SyncClient["upsertSyncEventCallback"];
export declare const upsertSyncEventStreamCallback:
    SyncClient["upsertSyncEventStreamCallback"];


export interface EventOptions {
    /* "/api/events" */
    url?: string;
    EventSource?: new (url: string, init?: { withCredentials?: boolean })
        => any;
    withCredentials?: boolean;

    /* ms: 1000, 20000 */
    reconnectBase?: number;
    reconnectCap?: number;
}

export interface EventMeta {
    channel: string;
    event: string;
    timestamp: number;
}

export declare class EventClient {
    constructor(options?: EventOptions);

    readonly status: SyncStatus;

    connect(userId: string | null, channels?: string[]): void;
    disconnect(): void;

    subscribe<T = any>(
        channel: string, fn: (data: T, meta: EventMeta) => void,
        options?: { event?: string }): Unsubscribe;

    onGap(
        fn: (gap: { channel: string, reason: GapReason }) => void)
        : Unsubscribe;
    onStatus(fn: (status: SyncStatus) => void): Unsubscribe;
}

/* The page's one event client. */
export declare function getEventClient(options?: EventOptions): EventClient;


/* By LSN: negative, 0 or positive. */
export declare function comparePositions(a: string, b: string): number;
