
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_sha1.h>
#include <sync_tally.h>
#include <sync_timer.h>


#define SYNC_TALLY_SLOTS     (2 * SYNC_TALLY_KEYS)  /* a power of two */
#define SYNC_TALLY_CALLS     (SYNC_TALLY_KEYS / SYNC_TALLY_BATCH)
#define SYNC_TALLY_SHA1      20

#define SYNC_TALLY_KEY_MAX   (64 + sizeof(":l:") - 1 + 2 * SYNC_TALLY_SHA1)
#define SYNC_TALLY_TEXT_MAX  (SYNC_TALLY_KEY_MAX + 2 * NGX_INT_T_LEN)


/*
 * KEYS: counters.  ARGV: for each, what to add, and ms till the end of our
 * window.  It answers, for each, the sum, and ms till the end of its own.
 */

static const char  sync_tally_script[] =
    "local out = {}\n"
    "for i = 1, #KEYS do\n"
    "  out[2 * i - 1] = redis.call('INCRBY', KEYS[i], ARGV[2 * i - 1])\n"
    "  local left = redis.call('PTTL', KEYS[i])\n"
    "  if left < 0 then\n"
    "    left = tonumber(ARGV[2 * i])\n"
    "    redis.call('PEXPIRE', KEYS[i], left)\n"
    "  end\n"
    "  out[2 * i] = left\n"
    "end\n"
    "return out\n";


/* A key, and hits of it since the last tick. */

typedef struct {
    uint64_t               key;
    uint32_t               n;
    u_char                 digest[SYNC_TALLY_SHA1];
} sync_tally_note_t;


/* What was told of a key. */

typedef struct {
    uint64_t               key;
    uint32_t               n;           /* hits */
    uint32_t               start;       /* of the window */
    ngx_msec_t             left;        /* of it */
} sync_tally_told_t;


typedef struct sync_tally_call_s  sync_tally_call_t;

struct sync_tally_call_s {
    sync_tally_call_t     *next;        /* that is free */
    ngx_uint_t             n;
    sync_tally_told_t      told[SYNC_TALLY_BATCH];
};


/* Too large for the stack. */

typedef struct {
    ngx_uint_t             argc;
    const char            *argv[3 + 3 * SYNC_TALLY_BATCH];
    size_t                 argvlen[3 + 3 * SYNC_TALLY_BATCH];
    u_char                 text[NGX_INT_T_LEN
                                + SYNC_TALLY_BATCH * SYNC_TALLY_TEXT_MAX];
} sync_tally_command_t;


typedef struct {
    sync_main_settings_t  *main;
    ngx_event_t            timer;
    sync_tally_call_t     *free;
    ngx_uint_t             nnotes;
    unsigned               failed:1;    /* Redis refused, that was logged */
    sync_tally_command_t   command;
    sync_tally_call_t      calls[SYNC_TALLY_CALLS];
    sync_tally_note_t      notes[SYNC_TALLY_KEYS];
    uint16_t               slots[SYNC_TALLY_SLOTS];     /* place in notes,
                                           from 1; 0: free */
} sync_tally_t;


static sync_tally_note_t *sync_tally_note(sync_tally_t *t, uint64_t key);
static void sync_tally_handler(ngx_event_t *ev);
static ngx_uint_t sync_tally_send(sync_tally_t *t, ngx_uint_t i);
static ngx_uint_t sync_tally_write(sync_tally_t *t, sync_tally_call_t *call,
    ngx_uint_t i);
static u_char *sync_tally_arg(sync_tally_command_t *cmd, ngx_uint_t i,
    u_char *p, u_char *last);
static void sync_tally_answered(redisReply *reply, sync_redis_error_e error,
    void *data);
static ngx_int_t sync_tally_totals(sync_tally_call_t *call,
    redisReply *reply);
static void sync_tally_refused(sync_tally_t *t, redisReply *reply);
static void sync_tally_untold(sync_tally_t *t, sync_tally_call_t *call);


static sync_tally_t  *sync_tally;


void
sync_tally_init_worker(sync_main_settings_t *main)
{
    ngx_uint_t     i;
    sync_tally_t  *t;

    if (main->redis == NULL) {
        return;
    }

    t = ngx_pcalloc(ngx_cycle->pool, sizeof(sync_tally_t));
    if (t == NULL) {

        /* rates hold on this host alone */

        return;
    }

    t->main = main;
    sync_timer_init(&t->timer, sync_tally_handler, 1);

    for (i = 0; i < SYNC_TALLY_CALLS; i++) {
        t->calls[i].next = t->free;
        t->free = &t->calls[i];
    }

    sync_tally = t;
}


void
sync_tally_add(uint64_t key, const u_char *data, size_t len)
{
    ngx_sha1_t          sha1;
    sync_tally_t       *t;
    sync_tally_note_t  *note;

    t = sync_tally;

    if (t == NULL) {
        return;
    }

    note = sync_tally_note(t, key);

    if (note == NULL) {
        sync_zone_count(t->main->zone, SYNC_COUNT_RATE_UNTOLD, 1);
        return;
    }

    if (note->n++) {
        return;
    }

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, data, len);
    ngx_sha1_final(note->digest, &sha1);

    if (!t->timer.timer_set) {
        ngx_add_timer(&t->timer, SYNC_TALLY_TIME);
    }
}


/* The key's, or a new one; NULL if there is no room. */

static sync_tally_note_t *
sync_tally_note(sync_tally_t *t, uint64_t key)
{
    ngx_uint_t          i;
    sync_tally_note_t  *note;

    /* half of the slots are free, always */

    for (i = key % SYNC_TALLY_SLOTS;
         t->slots[i];
         i = (i + 1) % SYNC_TALLY_SLOTS)
    {
        note = &t->notes[t->slots[i] - 1];

        if (note->key == key) {
            return note;
        }
    }

    if (t->nnotes == SYNC_TALLY_KEYS) {
        return NULL;
    }

    note = &t->notes[t->nnotes++];
    t->slots[i] = (uint16_t) t->nnotes;

    note->key = key;
    note->n = 0;

    return note;
}


/* What is not told now is told with the key's next hit. */

static void
sync_tally_handler(ngx_event_t *ev)
{
    ngx_uint_t     i;
    sync_tally_t  *t;

    t = sync_tally;
    i = 0;

    if (sync_redis_connected(0)) {

        while (i < t->nnotes && t->free) {
            i = sync_tally_send(t, i);
        }
    }

    while (i < t->nnotes) {
        sync_zone_count(t->main->zone, SYNC_COUNT_RATE_UNTOLD,
                        t->notes[i++].n);
    }

    t->nnotes = 0;
    ngx_memzero(t->slots, sizeof(t->slots));
}


/* Tells of notes from the i-th on; returns the first that is left. */

static ngx_uint_t
sync_tally_send(sync_tally_t *t, ngx_uint_t i)
{
    sync_tally_call_t     *call;
    sync_tally_command_t  *cmd;

    call = t->free;
    cmd = &t->command;

    i = sync_tally_write(t, call, i);

    if (call->n == 0) {
        return i;
    }

    if (sync_redis_command(0, NULL, sync_tally_answered, call, cmd->argc,
                           cmd->argv, cmd->argvlen)
        != SYNC_OK)
    {
        sync_tally_untold(t, call);
        return i;
    }

    t->free = call->next;

    return i;
}


/* EVAL script n key ... n left ... */

static ngx_uint_t
sync_tally_write(sync_tally_t *t, sync_tally_call_t *call, ngx_uint_t i)
{
    u_char                *p, *start;
    ngx_uint_t             k;
    sync_tally_note_t     *note;
    sync_tally_told_t     *told;
    sync_tally_command_t  *cmd;

    cmd = &t->command;
    call->n = 0;
    p = cmd->text;

    while (i < t->nnotes && call->n < SYNC_TALLY_BATCH) {
        note = &t->notes[i++];
        told = &call->told[call->n];

        told->key = note->key;
        told->n = sync_rate_tell(t->main->zone, note->key, ngx_current_msec,
                                 &told->left, &told->start);

        if (told->n == 0) {

            /* another worker was faster, or the window is over */

            continue;
        }

        start = p;
        p = ngx_sprintf(p, "%V:l:", &t->main->redis->prefix);
        p = ngx_hex_dump(p, note->digest, SYNC_TALLY_SHA1);
        p = sync_tally_arg(cmd, 3 + call->n++, start, p);
    }

    cmd->argc = 3 + call->n;

    for (k = 0; k < call->n; k++) {
        told = &call->told[k];

        start = p;
        p = ngx_sprintf(p, "%uD", told->n);
        p = sync_tally_arg(cmd, cmd->argc++, start, p);

        start = p;
        p = ngx_sprintf(p, "%M", told->left);
        p = sync_tally_arg(cmd, cmd->argc++, start, p);
    }

    cmd->argv[0] = "EVAL";
    cmd->argvlen[0] = 4;
    cmd->argv[1] = sync_tally_script;
    cmd->argvlen[1] = sizeof(sync_tally_script) - 1;

    start = p;
    p = ngx_sprintf(p, "%ui", call->n);
    (void) sync_tally_arg(cmd, 2, start, p);

    return i;
}


static u_char *
sync_tally_arg(sync_tally_command_t *cmd, ngx_uint_t i, u_char *p,
    u_char *last)
{
    cmd->argv[i] = (char *) p;
    cmd->argvlen[i] = last - p;

    return last;
}


static void
sync_tally_answered(redisReply *reply, sync_redis_error_e error, void *data)
{
    sync_tally_call_t *call = data;

    sync_tally_t  *t;

    t = sync_tally;

    if (error != SYNC_REDIS_OK) {
        sync_tally_untold(t, call);

    } else if (sync_tally_totals(call, reply) != SYNC_OK) {
        sync_tally_refused(t, reply);
        sync_tally_untold(t, call);

    } else {
        t->failed = 0;
    }

    call->next = t->free;
    t->free = call;
}


static ngx_int_t
sync_tally_totals(sync_tally_call_t *call, redisReply *reply)
{
    ngx_uint_t           i;
    redisReply         **r;
    sync_zone_t         *z;
    sync_tally_told_t   *told;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 * call->n) {
        return SYNC_ERROR;
    }

    r = reply->element;

    for (i = 0; i < 2 * call->n; i++) {
        if (r[i]->type != REDIS_REPLY_INTEGER || r[i]->integer < 0) {
            return SYNC_ERROR;
        }
    }

    z = sync_tally->main->zone;

    for (i = 0; i < call->n; i++) {
        told = &call->told[i];

        sync_rate_told(z, told->key, ngx_current_msec, told->start,
                       r[2 * i]->integer, r[2 * i + 1]->integer);

        sync_zone_count(z, SYNC_COUNT_RATE_TOLD, told->n);
    }

    return SYNC_OK;
}


/* Each tick may fail, so the first one is logged. */

static void
sync_tally_refused(sync_tally_t *t, redisReply *reply)
{
    if (t->failed) {
        return;
    }

    t->failed = 1;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "redis did not count for sync_rate: %s",
                  reply->type == REDIS_REPLY_ERROR ? reply->str
                                                   : "odd answer");
}


static void
sync_tally_untold(sync_tally_t *t, sync_tally_call_t *call)
{
    ngx_uint_t  i;

    for (i = 0; i < call->n; i++) {
        sync_zone_count(t->main->zone, SYNC_COUNT_RATE_UNTOLD,
                        call->told[i].n);
    }
}
