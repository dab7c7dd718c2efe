
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_eio_client.h>
#include <sync_random.h>
#include <sync_wake.h>
#include <sync_ws.h>


/*
 * Inner clients: those of a session but the first.
 *
 *     inner --(its output)--> outer --> connection, or session and polls
 *
 * An inner client's output is put behind that of the outer one as it comes,
 * unless much waits there; then it waits with the inner client, within that
 * one's bounds, till the outer one is drained.
 *
 * When the outer client has moved, the inner ones are left for its new worker
 * to claim.  If nobody does, they end.
 */


#define SYNC_EIO_LEFT   10000           /* ms, to be claimed */
#define SYNC_EIO_AHEAD  65536           /* bytes that wait with the outer one */


static const sync_client_ops_t *sync_eio_inner_ops(sync_client_t *c);
static sync_client_t *sync_eio_inner_add(sync_client_t *c, const u_char *id,
    sync_str_t *nsp);
static void sync_eio_inner_close(sync_client_t *c, ngx_uint_t code,
    const char *reason);
static void sync_eio_inner_write(sync_client_t *c);
static void sync_eio_inner_timeout(sync_client_t *c);


static const sync_client_ops_t  sync_eio_inner_ws_ops = {
    SYNC_TRANSPORT_SOCKETIO,
    sync_client_queue_json,
    sync_eio_inner_close,
    sync_eio_inner_write,
    sync_eio_inner_timeout,
    sync_eio_client_frame
};


static const sync_client_ops_t  sync_eio_inner_poll_ops = {
    SYNC_TRANSPORT_POLLING,
    sync_client_queue_json,
    sync_eio_inner_close,
    sync_eio_inner_write,
    sync_eio_inner_timeout,
    sync_eio_client_frame
};


sync_client_t *
sync_eio_inner_create(sync_client_t *c, sync_str_t *nsp)
{
    sync_client_t      *in;
    sync_eio_client_t  *eio;
    u_char              id[SYNC_SID_LEN];

    sync_random(id, SYNC_SID_LEN);

    in = sync_eio_inner_add(c, id, nsp);
    if (in == NULL) {
        return NULL;
    }

    eio = sync_eio_client(in);

    if (sync_eio_client(c)->sid && !sync_eio_client_is_ws(c)) {
        eio->sid = sync_sid_create(sync_client_zone(), id, SYNC_SID_INNER,
                                   (uintptr_t) in);

        if (eio->sid == NULL) {
            sync_client_destroy(in);
            return NULL;
        }
    }

    return in;
}


static const sync_client_ops_t *
sync_eio_inner_ops(sync_client_t *c)
{
    return sync_eio_client_is_ws(c) ? &sync_eio_inner_ws_ops
                                    : &sync_eio_inner_poll_ops;
}


static sync_client_t *
sync_eio_inner_add(sync_client_t *c, const u_char *id, sync_str_t *nsp)
{
    sync_client_t      *in, **last;
    sync_eio_inner_t   *inner;
    sync_eio_client_t  *outer;

    outer = sync_eio_client(c);

    if (outer == NULL) {
        outer = sync_eio_client_resume(c);
        if (outer == NULL) {
            return NULL;
        }
    }

    inner = ngx_calloc(sizeof(sync_eio_inner_t), ngx_cycle->log);
    if (inner == NULL) {
        return NULL;
    }

    in = sync_client_create_inner(c, sync_eio_inner_ops(c));
    if (in == NULL) {
        ngx_free(inner);
        return NULL;
    }

    ngx_memcpy(inner->client.id, id, SYNC_SID_LEN);
    inner->client.endpoint = SYNC_SID_INNER;
    inner->outer = c;

    in->session = inner;

    for (last = &outer->inner; *last; last = &sync_eio_inner_next(*last)) {
        /* void */
    }

    *last = in;
    outer->ninner++;

    if (sync_eio_client_name(in, nsp) != SYNC_OK) {
        sync_client_destroy(in);
        return NULL;
    }

    return in;
}


void
sync_eio_inner_unlink(sync_client_t *c)
{
    sync_client_t     *outer, **p;
    sync_eio_inner_t  *inner;

    inner = sync_eio_inner(c);
    outer = inner->outer;

    if (outer == NULL) {
        return;
    }

    inner->outer = NULL;

    for (p = &sync_eio_client(outer)->inner;
         *p != c;
         p = &sync_eio_inner_next(*p))
    {
        /* void */
    }

    *p = inner->next;
    sync_eio_client(outer)->ninner--;

    if (!outer->closing) {
        sync_eio_client_settle(outer);
    }
}


/* What ends one ends the session, and all of them. */

static void
sync_eio_inner_close(sync_client_t *c, ngx_uint_t code, const char *reason)
{
    sync_client_t  *outer;

    outer = c->session ? sync_eio_inner(c)->outer : NULL;

    if (outer && !outer->closing) {
        outer->expelled |= c->expelled;
        sync_client_close(outer, code, reason);
    }

    if (!c->closed) {
        sync_client_destroy(c);
    }
}


static void
sync_eio_inner_write(sync_client_t *c)
{
    sync_client_t  *outer;

    outer = c->session ? sync_eio_inner(c)->outer : NULL;

    if (outer == NULL || outer->closing || c->out == NULL) {
        return;
    }

    sync_client_pass(c, outer, SYNC_EIO_AHEAD);

    if (c->out) {
        c->waiting = 1;
        return;
    }

    if (c->record && !c->closing) {
        sync_eio_worker.handler->client.drained(c);
    }
}


void
sync_eio_inner_drained(sync_client_t *c)
{
    sync_client_t  *in;

    for (in = sync_eio_client(c)->inner; in; in = sync_eio_inner_next(in)) {
        if (in->waiting) {
            in->waiting = 0;
            sync_client_flush(in);
        }
    }
}


void
sync_eio_inner_flush(sync_client_t *c)
{
    sync_client_t  *in;

    for (in = sync_eio_inner_first(c); in; in = sync_eio_inner_next(in)) {
        sync_client_pass(in, c, (size_t) -1);
    }
}


/* Nobody claims it. */

static void
sync_eio_inner_timeout(sync_client_t *c)
{
    sync_client_destroy(c);
}


void
sync_eio_inner_leave(sync_client_t *c)
{
    sync_client_t  *outer;

    outer = sync_eio_inner(c)->outer;

    if (outer && !outer->closing) {
        sync_client_pass(c, outer, (size_t) -1);
    }

    sync_client_destroy(c);
}


void
sync_eio_inner_end(sync_client_t *c)
{
    sync_client_t      *in;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    while (eio->inner) {
        in = eio->inner;
        in->expelled |= c->expelled;

        if (in->left == SYNC_LEFT_UNKNOWN) {
            in->left = c->left;
        }

        sync_eio_inner_unlink(in);

        if (!in->closed) {
            sync_client_destroy(in);
        }
    }
}


ngx_int_t
sync_eio_inner_settled(sync_client_t *c)
{
    sync_client_t  *in;

    for (in = sync_eio_inner_first(c); in; in = sync_eio_inner_next(in)) {
        if (in->unknown || sync_eio_client(in)->claiming) {
            return SYNC_AGAIN;
        }
    }

    return SYNC_OK;
}


/* The list: an id, the length of a name, the name; and so on. */

ngx_int_t
sync_eio_inner_depart(sync_client_t *c, sync_sid_t *s)
{
    size_t              len;
    u_char             *p, *list;
    ngx_int_t           rc;
    sync_client_t      *in;
    sync_eio_client_t  *eio;

    if (sync_eio_client(c)->inner == NULL) {
        return SYNC_OK;
    }

    if (sync_eio_inner_settled(c) != SYNC_OK) {
        return SYNC_AGAIN;
    }

    len = 0;

    sync_eio_inner_flush(c);

    for (in = sync_eio_inner_first(c); in; in = sync_eio_inner_next(in)) {
        len += SYNC_SID_LEN + 1 + sync_eio_client(in)->nsp.len;
    }

    list = ngx_alloc(len, ngx_cycle->log);
    if (list == NULL) {
        return SYNC_AGAIN;
    }

    p = list;

    for (in = sync_eio_inner_first(c); in; in = sync_eio_inner_next(in)) {
        eio = sync_eio_client(in);

        p = ngx_cpymem(p, eio->id, SYNC_SID_LEN);
        *p++ = (u_char) eio->nsp.len;

        if (eio->nsp.len) {
            p = ngx_cpymem(p, eio->nsp.data, eio->nsp.len);
        }
    }

    rc = sync_sid_set_inner(sync_client_zone(), s, list, len);

    ngx_free(list);

    return (rc == SYNC_OK) ? SYNC_OK : SYNC_AGAIN;
}


void
sync_eio_inner_departed(sync_client_t *c)
{
    sync_client_t      *in;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);

    while (eio->inner) {
        in = eio->inner;

        eio->inner = sync_eio_inner_next(in);
        sync_eio_inner(in)->outer = NULL;

        sync_client_set_timer(in, SYNC_EIO_LEFT);
    }

    eio->ninner = 0;
}


ngx_int_t
sync_eio_inner_claim(sync_client_t *c, sync_sid_t *s)
{
    u_char           *p, *last, *id;
    ngx_int_t         rc;
    sync_str_t        nsp;
    sync_zone_t      *z;
    sync_client_t    *in;
    sync_wake_set_t   wake;

    if (s->inner == NULL) {
        return SYNC_OK;
    }

    z = sync_client_zone();
    rc = SYNC_OK;
    wake.n = 0;

    p = s->inner->data;
    last = p + s->inner->len;

    while (p < last && rc == SYNC_OK) {
        id = p;
        p += SYNC_SID_LEN;

        nsp.len = *p++;
        nsp.data = p;
        p += nsp.len;

        in = sync_eio_inner_add(c, id, &nsp);

        rc = in ? sync_sid_claim(z, id, SYNC_SID_INNER, (uintptr_t) in, &wake)
                : SYNC_ERROR;

        if (rc == SYNC_OK) {
            sync_eio_client(in)->claiming = 1;
        }
    }

    sync_wake_send(z, &wake);

    if (rc == SYNC_OK) {
        (void) sync_sid_set_inner(z, s, NULL, 0);   /* takes no memory */
    }

    return rc;
}


void
sync_eio_inner_arrived(sync_client_t *c, sync_sid_t *s)
{
    unsigned            framed;
    sync_zone_t        *z;
    sync_client_t      *outer;
    sync_wake_set_t     wake;
    sync_eio_client_t  *eio;

    eio = sync_eio_client(c);
    outer = sync_eio_inner(c)->outer;

    eio->claiming = 0;
    eio->sid = s;

    if (s->record && sync_eio_worker.handler->arrived(c, s) != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
        return;
    }

    /* what was said is in the namespace already */

    framed = outer->framed;
    outer->framed = 0;

    sync_eio_client_output(outer, s);

    if (outer->closing) {
        return;
    }

    outer->framed = framed;
    c->framed = (eio->nsp.len != 0);

    if (sync_eio_client_is_ws(outer)) {
        z = sync_client_zone();
        eio->sid = NULL;
        wake.n = 0;

        sync_sid_close(z, s, &wake);
        sync_wake_send(z, &wake);
    }

    if (sync_eio_inner_settled(outer) == SYNC_OK) {
        sync_eio_client_gathered(outer);
    }
}
