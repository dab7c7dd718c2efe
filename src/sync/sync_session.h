
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_SESSION_H_INCLUDED_
#define _SYNC_SESSION_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>
#include <sync_session_store.h>


/*
 * A client and its session.
 *
 *     request --> token --(sync_session_op.h)--> known in the zone
 *                   |                                 |
 *     client --(attach)--> room of the token      (get) JSON
 *
 * A client has one token or none, from its handshake to its end, and so long
 * the zone has what is known of the token: neither get nor token blocks.
 */


/* whether there are any */

#define sync_session_on(s)  ((s)->session->kind != SYNC_SESSION_OFF)

/*
 * Where the session of a token is, and its realm there.  One that is bound to
 * a connection is in the zone, whatever is configured.
 */

#define sync_session_kind(s, token)                                           \
    (sync_token_is_bound(token) ? SYNC_SESSION_MEMORY : (s)->session->kind)

#define sync_session_realm(s, token)                                          \
    (sync_token_is_bound(token) ? 0 : (s)->session->realm)


/*
 * The session's JSON object, which has no "token" in it.  It is there till
 * the event that is being handled is over.  Returns SYNC_OK; SYNC_DECLINED
 * if there is none: the user is null then; or SYNC_BUSY if that cannot be
 * known now: what needs it is answered with "session.unavailable", 503.
 */
ngx_int_t sync_session_get(sync_client_t *c, sync_str_t *json);

/*
 * The client's token: borrowed, good as long as the client; empty if it has
 * none.  It must not be logged or shown.
 */
void sync_session_token(sync_client_t *c, sync_str_t *token);

/*
 * The same as sync_session_get() for a token that no client may have, and
 * the version, 0 if nothing is known of it.
 */
ngx_int_t sync_session_of(sync_settings_t *s, sync_str_t *token,
    sync_session_data_t *data, uint64_t *version);

/* Whether a name is the client's own token: takes as long whether or not. */
ngx_uint_t sync_session_is_token(sync_client_t *c, sync_str_t *name);

/*
 * Takes a session's text apart: an object, at most SYNC_SESSION_MAX bytes,
 * with an "id" that is a string or a number.  *data is in the text or in buf,
 * which holds text->len + SYNC_SESSION_USER bytes; it has no "token".
 * Returns NULL, or what is wrong with it.
 */
const char *sync_session_parse(const sync_str_t *text, u_char *buf,
    sync_session_data_t *data);

/*
 * Counts what should be a session and is none, and logs it: what it is, and
 * what is wrong with it.
 */
void sync_session_invalid(sync_main_settings_t *main, const char *what,
    sync_str_t *token, const char *wrong);

/*
 * Sessions that are kept elsewhere, see sync_session_redis.h and
 * sync_session_hook.h.  None of these waits for anything.
 */

typedef struct {
    /* Whether what the zone has may be relied upon. */
    ngx_uint_t  (*trusted)(void);

    /* It was used: it is to be seen to that it lives, or still is right. */
    void        (*used)(sync_settings_t *s, sync_str_t *token);

    /* It is not known, and a client has it. */
    void        (*wanted)(sync_settings_t *s, sync_str_t *token);
} sync_session_remote_t;

extern const sync_session_remote_t  *sync_session_remotes[];

#define sync_session_remote(s, token)                                         \
    (sync_session_remotes[sync_session_kind(s, token)])

/* How often the end of a session elsewhere is put off, ms. */

#define sync_session_slides(conf)                                             \
    ngx_min((ngx_msec_t) (conf)->ttl * 100, 60000)


/* Memory till the event that is being handled is over; or NULL. */
void *sync_session_alloc(size_t size);

/* Once in a worker. */
void sync_session_init_worker(void);


#endif /* _SYNC_SESSION_H_INCLUDED_ */
