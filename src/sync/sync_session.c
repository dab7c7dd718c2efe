
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_session.h>
#include <sync_timer.h>


/*
 * What is borrowed stands in blocks that go by an event, posted behind the
 * one that is being handled.  A block is kept for the next time.
 */


#define SYNC_SESSION_BLOCK  (2 * SYNC_SESSION_MAX)
#define SYNC_SESSION_SPACE  4096        /* bytes that most sessions fit in */
#define SYNC_SESSION_PREFIX  6          /* bytes of a token in a log line */


typedef struct sync_session_block_s  sync_session_block_t;

struct sync_session_block_s {
    sync_session_block_t  *next;
    size_t                 size;
    size_t                 used;
};


typedef struct {
    ngx_event_t            event;
    sync_session_block_t  *blocks;
} sync_session_worker_t;


static ngx_uint_t sync_session_is_due(sync_settings_t *s,
    sync_session_kind_e kind, sync_session_copy_t *copy);
static ngx_int_t sync_session_space(sync_session_copy_t *copy);
static sync_session_block_t *sync_session_block(size_t size);
static void sync_session_release(ngx_event_t *ev);
static ngx_int_t sync_session_user(sync_json_t *id, u_char *buf,
    sync_str_t *user);


/* what the zone does not know there is not, if it is the place of it all */

#define sync_session_absent(kind, rc)                                         \
    (((rc) == SYNC_BUSY && (kind) == SYNC_SESSION_MEMORY)                     \
     ? SYNC_DECLINED : (rc))

#define sync_session_trusted(kind)                                            \
    (sync_session_remotes[kind] == NULL                                       \
     || sync_session_remotes[kind]->trusted())

/* ms by which a use puts off the end of a session in the zone */

#define sync_session_slide(s, kind)                                           \
    ((kind) == SYNC_SESSION_REDIS ? 0 : (ngx_msec_t) (s)->session->ttl * 1000)

#define sync_session_free(b)                                                  \
    ((u_char *) (b) + sizeof(sync_session_block_t) + (b)->used)


const sync_session_remote_t  *sync_session_remotes[SYNC_SESSION_KINDS];

static sync_session_worker_t   sync_session_worker;


void
sync_session_init_worker(void)
{
    ngx_memzero(&sync_session_worker, sizeof(sync_session_worker_t));

    sync_timer_init(&sync_session_worker.event, sync_session_release, 1);
}


ngx_int_t
sync_session_get(sync_client_t *c, sync_str_t *json)
{
    ngx_int_t             rc;
    sync_str_t            token;
    sync_zone_t          *z;
    sync_settings_t      *s;
    sync_session_copy_t   copy;
    sync_session_kind_e   kind;

    s = sync_settings(c);

    if (c->token == NULL || !sync_session_on(s)) {
        return SYNC_DECLINED;
    }

    sync_session_token(c, &token);
    kind = sync_session_kind(s, &token);

    if (!sync_session_trusted(kind)) {
        return SYNC_BUSY;
    }

    z = sync_client_zone();

    copy.need = 0;
    copy.old = 0;

    do {
        if (sync_session_space(&copy) != SYNC_OK) {
            return SYNC_BUSY;
        }

        rc = sync_session_store_read(z, c->token,
                                     sync_session_slide(s, kind), &copy);

    } while (rc == SYNC_AGAIN);

    if (rc == SYNC_OK) {
        (void) sync_session_alloc(copy.len);

        json->data = copy.buf;
        json->len = copy.len;

        if (sync_session_is_due(s, kind, &copy)) {
            sync_session_remotes[kind]->used(s, &token);
        }
    }

    return sync_session_absent(kind, rc);
}


static ngx_uint_t
sync_session_is_due(sync_settings_t *s, sync_session_kind_e kind,
    sync_session_copy_t *copy)
{
    if (kind == SYNC_SESSION_REDIS) {
        return ngx_current_msec - copy->slid >= sync_session_slides(s->session);
    }

    return copy->late;
}


/* What is left of the block, or one in which it fits. */

static ngx_int_t
sync_session_space(sync_session_copy_t *copy)
{
    sync_session_block_t  *b;

    b = sync_session_block(ngx_max(copy->need, SYNC_SESSION_SPACE));
    if (b == NULL) {
        return SYNC_ERROR;
    }

    copy->buf = sync_session_free(b);
    copy->size = b->size - b->used;

    return SYNC_OK;
}


/* A block with so many bytes to spare. */

static sync_session_block_t *
sync_session_block(size_t size)
{
    size_t                  n;
    sync_session_block_t   *b;
    sync_session_worker_t  *w;

    w = &sync_session_worker;
    b = w->blocks;

    if (b && b->size - b->used >= size) {
        return b;
    }

    n = ngx_max(size, SYNC_SESSION_BLOCK);

    b = ngx_alloc(sizeof(sync_session_block_t) + n, ngx_cycle->log);
    if (b == NULL) {
        return NULL;
    }

    b->size = n;
    b->used = 0;
    b->next = w->blocks;
    w->blocks = b;

    return b;
}


ngx_int_t
sync_session_of(sync_settings_t *s, sync_str_t *token,
    sync_session_data_t *data, uint64_t *version)
{
    ngx_int_t             rc;
    sync_session_copy_t   copy;
    sync_session_kind_e   kind;

    if (token->len == 0 || !sync_session_on(s)) {
        return SYNC_DECLINED;
    }

    *version = 0;

    kind = sync_session_kind(s, token);

    if (!sync_session_trusted(kind)) {
        return SYNC_BUSY;
    }

    copy.need = 0;
    copy.old = 0;
    copy.version = 0;

    do {
        if (sync_session_space(&copy) != SYNC_OK) {
            return SYNC_BUSY;
        }

        rc = sync_session_store_get(s->main->zone,
                                    sync_session_realm(s, token), token,
                                    sync_session_slide(s, kind), &copy);

    } while (rc == SYNC_AGAIN);

    *version = copy.version;

    if (rc != SYNC_OK) {
        return sync_session_absent(kind, rc);
    }

    (void) sync_session_alloc(copy.len);

    data->user.data = sync_session_alloc(copy.user_len);

    if (data->user.data == NULL) {
        return SYNC_BUSY;
    }

    data->user.len = copy.user_len;
    ngx_memcpy(data->user.data, copy.user, copy.user_len);

    data->json.data = copy.buf;
    data->json.len = copy.len;
    data->anew = 0;

    if (sync_session_is_due(s, kind, &copy)) {
        sync_session_remotes[kind]->used(s, token);
    }

    return SYNC_OK;
}


void
sync_session_token(sync_client_t *c, sync_str_t *token)
{
    if (c->token) {
        token->data = c->token->token;
        token->len = c->token->len;

    } else {
        token->data = (u_char *) "";
        token->len = 0;
    }
}


ngx_uint_t
sync_session_is_token(sync_client_t *c, sync_str_t *name)
{
    size_t      i;
    u_char      differ;
    sync_str_t  token;

    sync_session_token(c, &token);

    if (token.len == 0 || token.len != name->len) {
        return 0;
    }

    differ = 0;

    for (i = 0; i < token.len; i++) {
        differ |= token.data[i] ^ name->data[i];
    }

    return differ == 0;
}


const char *
sync_session_parse(const sync_str_t *text, u_char *buf,
    sync_session_data_t *data)
{
    ngx_uint_t         n;
    sync_str_t         key;
    sync_json_t        session, v, id;
    sync_writer_t      w;
    sync_json_iter_t   it;

    static const sync_str_t  token = sync_string("token");

    if (text->len > SYNC_SESSION_MAX) {
        return "is too large";
    }

    if (sync_json_parse(&session, text, NULL) != SYNC_OK) {
        return "is not JSON, or too deep";
    }

    if (session.type != SYNC_JSON_OBJECT) {
        return "is not an object";
    }

    if (sync_json_get(&id, &session, "id") != SYNC_OK
        || sync_session_user(&id, buf, &data->user) != SYNC_OK)
    {
        return "has no id";
    }

    data->json = session.raw;

    if (sync_json_get(&v, &session, "token") != SYNC_OK) {
        return NULL;
    }

    sync_writer_init(&w, buf + SYNC_SESSION_USER, text->len);

    sync_json_iter_init(&it, &session);
    n = 0;

    sync_write_byte(&w, '{');

    while (sync_json_next(&it, &key, &v) == SYNC_OK) {

        if (sync_json_key_is(&key, &token)) {
            continue;
        }

        if (n++) {
            sync_write_byte(&w, ',');
        }

        sync_write_byte(&w, '"');
        sync_write_str(&w, &key);
        sync_write_literal(&w, "\":");
        sync_write_str(&w, &v.raw);
    }

    sync_write_byte(&w, '}');

    data->json.data = buf + SYNC_SESSION_USER;
    data->json.len = w.len;

    return NULL;
}


/* An id is a string or a number, and not too long. */

static ngx_int_t
sync_session_user(sync_json_t *id, u_char *buf, sync_str_t *user)
{
    if (id->type == SYNC_JSON_NUMBER && id->raw.len <= SYNC_SESSION_USER) {
        *user = id->raw;
        return SYNC_OK;
    }

    if (id->type != SYNC_JSON_STRING
        || sync_json_string(user, id, buf, SYNC_SESSION_USER) != SYNC_OK
        || user->len == 0)
    {
        return SYNC_ERROR;
    }

    return SYNC_OK;
}


void
sync_session_invalid(sync_main_settings_t *main, const char *what,
    sync_str_t *token, const char *wrong)
{
    ngx_str_t  prefix;

    sync_zone_count(main->zone, SYNC_COUNT_SESSIONS_INVALID, 1);

    prefix.data = token->data;
    prefix.len = ngx_min(token->len / 4, SYNC_SESSION_PREFIX);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "%s of token \"%V...\" %s",
                  what, &prefix, wrong);
}


void *
sync_session_alloc(size_t size)
{
    void                   *p;
    sync_session_block_t   *b;
    sync_session_worker_t  *w;

    w = &sync_session_worker;

    size = ngx_align(size, sizeof(uintptr_t));

    b = sync_session_block(size);
    if (b == NULL) {
        return NULL;
    }

    if (!w->event.posted) {
        ngx_post_event(&w->event, &ngx_posted_events);
    }

    p = sync_session_free(b);
    b->used += size;

    return p;
}


static void
sync_session_release(ngx_event_t *ev)
{
    sync_session_block_t   *b, *next;
    sync_session_worker_t  *w;

    w = &sync_session_worker;

    for (b = w->blocks; b; b = next) {
        next = b->next;

        if (next == NULL && b->size == SYNC_SESSION_BLOCK) {
            b->used = 0;
            break;
        }

        w->blocks = next;
        ngx_free(b);
    }
}
