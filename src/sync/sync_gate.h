
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_GATE_H_INCLUDED_
#define _SYNC_GATE_H_INCLUDED_


#include <sync_route.h>
#include <sync_reply.h>


/*
 * What a request has to pass before the app is asked (luckystack-wire, 2.3
 * and 3.2), whether it came by a socket or by HTTP.
 *
 *     sync_gate_auth()    the route exists, login, auth.additional
 *         a sync's receiver is looked at here, by who calls
 *     sync_gate_rate()    the route's bucket, then the address's
 *         an HTTP call's method is looked at here
 *     sync_gate_input()   the data is of the route's schema
 *
 * Each returns SYNC_OK, or SYNC_DECLINED with *e filled: its params are good
 * till the next gate of this worker.  Nothing is allocated, nothing blocks,
 * and what fails is not charged by the gates that follow.
 */


typedef struct {
    sync_settings_t  *settings;
    sync_str_t        full;         /* the route's name in its one form */
    sync_str_t        name;         /* as the client wrote it: JSON */
    sync_str_t        session;      /* JSON object; len 0: user is null */
    sync_str_t        token;        /* len 0: none */
    sync_str_t        ip;           /* text, as nginx has it after realip */
    sync_str_t        data;         /* JSON object */
    unsigned          api:1;        /* else it is a sync */
    unsigned          unknown:1;    /* the session cannot be known now */

    sync_route_t     *route;        /* set by sync_gate_auth() */
} sync_gate_t;


ngx_int_t sync_gate_auth(sync_gate_t *g, sync_reply_error_t *e);
ngx_int_t sync_gate_rate(sync_gate_t *g, sync_reply_error_t *e);
ngx_int_t sync_gate_input(sync_gate_t *g, sync_reply_error_t *e);

/* The address's bucket alone, for what is no route. */
ngx_int_t sync_gate_ip(sync_gate_t *g, sync_reply_error_t *e);

/*
 * The session of a client and its address, for the fields of the same names.
 * ip is NGX_SOCKADDR_STRLEN bytes.
 */
void sync_gate_client(sync_gate_t *g, sync_client_t *c, u_char *ip);

/* The address alone, as nginx writes it; the text is kept. */
void sync_gate_address(sync_gate_t *g, u_char *text, size_t len);


/*
 * join=user: whether the session's id is one of the parts of the room's name
 * after the first, with colons between them.  session is JSON, of no bytes if
 * there is none.
 */
ngx_uint_t sync_gate_is_owner(sync_str_t *session, sync_str_t *room);
ngx_uint_t sync_gate_owns(sync_client_t *c, sync_str_t *room);


#endif /* _SYNC_GATE_H_INCLUDED_ */
