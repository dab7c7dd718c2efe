
/*
 * Copyright (C) sync for nginx
 */


/*
 * What handlers share, in memory here; in another app, a database.
 */


export interface Store {
    counter: number;
    cards: Map<string, string>;         /* id -> lane */
    messages: { from: string, text: string }[];
}

export const store: Store = {
    counter: 0,
    cards: new Map([["c1", "todo"], ["c2", "todo"], ["c3", "done"]]),
    messages: []
};
