
/*
 * Copyright (C) sync for nginx
 */


/*
 * What handlers are given, and what they may say of themselves.
 */


/* The app's own: `declare module` it to name the fields of a session. */

export interface SessionLayout {
    id: string;
    [field: string]: unknown;
}

export interface Condition {
    key: string;
    value?: string | number | boolean | null;
    type?: "string" | "number" | "boolean";
    nullish?: boolean;
    mustBeFalsy?: boolean;
}

export interface AuthProps {
    login?: boolean;
    additional?: Condition[];
}

export type Chunk = Record<string, unknown>;

/* A handler's result, or its error. */

export type Success = { status: "success" } & Record<string, unknown>;

export interface Failure {
    status: "error";
    errorCode: string;
    errorParams?: { key: string, value: string | number | boolean }[];
    httpStatus?: number;
}

/* What all handlers are given. */

export interface Common<I> {
    data: I;
    clientInput: I;             /* the same */
    user: SessionLayout | null;
    token: string | null;
    clientId: string;
    functions: Functions;

    /* To the caller alone. */
    stream: (payload?: Chunk) => void;

    /* The caller gave up, or left. */
    abortSignal: AbortSignal;

    /* Resolves when what was streamed is on its way. */
    flushPressure: () => Promise<void>;
}

export type ApiParams<I = Chunk> = Common<I>;

export interface ServerParams<I = Chunk> extends Common<I> {
    receiver: string;
    roomCode: string;           /* the same */

    /* To all in the room; to sessions. */
    broadcastStream: (payload?: Chunk) => void;
    streamTo: (tokens: string | string[], payload?: Chunk) => void;
}

/* Once for each recipient of a message. */

export interface ClientParams<I = Chunk, O = Success> {
    clientInput: I;
    serverOutput: O;
    receiver: string;
    roomCode: string;
    user: SessionLayout | null;
    token: string | null;
    clientId: string;
    functions: Functions;
    stream: (payload?: Chunk) => void;
}

/* What of the app handlers share: a database, a mailer. */

export interface Functions {
    [name: string]: unknown;
}

/*
 * zod's, and whatever else has it; or JSON Schema, as TypeBox's are, of which
 * nginx alone makes sure.
 */

export interface Schema<T = unknown> {
    safeParse?(value: unknown): { success: boolean, data?: T };
}

/* A member of the room gets a message if all of these hold. */

export interface FilterTest {
    key: string;
    equals?: unknown;
    notEquals?: unknown;
    in?: unknown;
    exists?: boolean;
}


/*
 * What apiTypes.generated.ts infers from a handler's module.
 */

type Main<M> = M extends { main: infer F } ? F : never;

export type InputOf<M> =
    M extends { schema: { _output: infer T } } ? T
    : M extends { schema: { static: infer T } } ? T
    : Main<M> extends (params: infer P) => unknown
    ? P extends { data: infer T } ? T
        : P extends { clientInput: infer T } ? T : Chunk
    : Chunk;

export type OutputOf<M> =
    Main<M> extends (...args: never[]) => infer R
    ? Extract<Awaited<R>, { status: "success" }> : Success;
