
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_DELIVERY_H_INCLUDED_
#define _SYNC_DELIVERY_H_INCLUDED_


#include <sync_publish.h>
#include <sync_json.h>


/*
 * The delivered hook: how many clients a sync's message went to, told when
 * all workers with members have delivered it (sync_receipt.h).
 *
 *     begin --> said --> reports of workers ---------------> told, complete
 *                 |         `-- and of other hosts, in time --^
 *                 `-- SYNC_DELIVERY_TIME passed -----------> told, as it is
 *
 * It is told as notifications are.  What is beyond the receipts that a zone
 * has is not asked of, and counted.
 */


#define SYNC_DELIVERY_TIME    10000     /* ms */
#define SYNC_DELIVERY_OTHERS  300       /* ms, for other hosts to report */


/* What is told of a message; the strings may be empty. */

typedef struct {
    sync_settings_t     *settings;
    sync_str_t           id;            /* of the call */
    sync_str_t           route;
    sync_str_t           receiver;
    sync_str_t           user;
    sync_str_t           token;
    const u_char        *client;        /* the sender's id; NULL: by HTTP */
} sync_delivery_args_t;


/*
 * Before a message is said: has it counted, and returns the receipt's number,
 * or 0.  s gets another extra, to be freed by sync_delivery_said().
 */
uint64_t sync_delivery_begin(sync_delivery_args_t *args, sync_saying_t *s);

/* After it, with what publishing returned. */
void sync_delivery_said(uint64_t number, sync_saying_t *s, ngx_int_t rc);

/* One for which SYNC_AGAIN was returned was not said after all. */
void sync_delivery_failed(uint64_t number);

/* Looks what workers have reported. */
void sync_delivery_look(void);

/* Tells what is known: for a worker that is about to exit. */
void sync_delivery_flush(void);

/* Another host has delivered it, {"receipt":...,"n":...}, to n clients. */
void sync_delivery_obey(sync_json_t *v, sync_json_t *command);


#endif /* _SYNC_DELIVERY_H_INCLUDED_ */
