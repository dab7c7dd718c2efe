
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PRESENCE_ASK_H_INCLUDED_
#define _SYNC_PRESENCE_ASK_H_INCLUDED_


#include <sync_question.h>
#include <sync_presence_store.h>


/*
 * Whether users are on another host: many at once, by sync_question.h.
 *
 *     [[realm,"user"],...] ----> each host ----> [[i,seconds],...]
 *
 * The answer names those that have clients there, and for how long they said
 * nothing: -1 if none of them speaks.
 */


#define SYNC_PRESENCE_ASK  256          /* users at once */


typedef struct {
    uint32_t             realm;
    uint8_t              there;         /* it has a client elsewhere */
    uint8_t              spoke;         /* which said something ... */
    uint8_t              len;
    uint32_t             silent;        /* ... so many seconds ago */
    u_char               id[SYNC_ID_LEN];       /* the caller's */
    u_char               user[SYNC_SESSION_USER];
} sync_presence_asked_t;


typedef void (*sync_presence_asked_pt)(sync_presence_asked_t *who);

typedef struct sync_presence_ask_s  sync_presence_ask_t;


/*
 * Adds a user to *ask, which is made if it is NULL, and sent if it is full.
 * The handler is called in a later turn for each of them; or, if Redis is away
 * or there is no memory, for none.
 */
void sync_presence_ask_add(sync_presence_ask_t **ask,
    sync_presence_asked_pt handler, uint32_t realm, sync_str_t *user,
    const u_char *id);
void sync_presence_ask_send(sync_presence_ask_t **ask);

/* Another host asks. */
void sync_presence_ask_answer(sync_zone_t *z, sync_question_id_t *id,
    sync_str_t *text);


#endif /* _SYNC_PRESENCE_ASK_H_INCLUDED_ */
