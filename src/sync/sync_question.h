
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_QUESTION_H_INCLUDED_
#define _SYNC_QUESTION_H_INCLUDED_


#include <sync_settings.h>


/*
 * What one host asks of all hosts that share its Redis.
 *
 *     this host                    Redis                    each host
 *       ask --------PUBLISH prefix:q:--------------------->  asked
 *                                                              |
 *       answer <--(read, again and again)-- list prefix:a:ID <-'
 *       done
 *
 * PUBLISH says how many have heard it, so it is known when the last one has
 * answered; the answer of the host itself, which is empty, among them.  Who
 * has not answered after the time limit of a command is missing.
 *
 * All this is on the first shard.  A question is heard in the worker that
 * holds its subscriber.
 */


#define SYNC_QUESTION_MAX    64         /* of a worker, at once */
#define SYNC_QUESTION_HOSTS  64         /* whose answers count */


typedef struct sync_question_s  sync_question_t;

/* How many hosts heard it, and how many of them have answered; with us. */

typedef struct {
    ngx_uint_t           asked;
    ngx_uint_t           answered;
    ngx_uint_t           lost;          /* Redis went away meanwhile */
} sync_question_hosts_t;


/* The answer of another host, borrowed. */
typedef void (*sync_question_answer_pt)(void *data, sync_str_t *answer);

typedef void (*sync_question_done_pt)(void *data,
    sync_question_hosts_t *hosts);


/*
 * A host is asked: what, and with which text; both borrowed.  It answers by
 * sync_question_answer(), once, at once or in a later turn.
 */

typedef struct {
    u_char               id[32];
} sync_question_id_t;

typedef void (*sync_question_asked_pt)(sync_question_id_t *id,
    sync_str_t *what, sync_str_t *text);


/* In a worker that has a Redis. */
void sync_question_init_worker(sync_main_settings_t *main);

/* Who answers here; for all workers. */
void sync_question_listen(sync_question_asked_pt asked);

/*
 * Asks.  The handlers are called in later turns, done last, and once.
 * Returns SYNC_OK; SYNC_DECLINED if Redis is away; or SYNC_BUSY if there are
 * too many questions, or there is no memory.
 */
ngx_int_t sync_question_ask(const char *what, sync_str_t *text,
    sync_question_answer_pt answer, sync_question_done_pt done, void *data,
    sync_question_t **question);
void sync_question_cancel(sync_question_t *q);

/* The channel, written to buf of SYNC_QUESTION_KEY_MAX bytes. */
void sync_question_channel(sync_str_t *channel, u_char *buf);

/* prefix, ":a:", an id */
#define SYNC_QUESTION_KEY_MAX  (64 + 3 + 32)

/* Something was said there. */
void sync_question_heard(sync_str_t *payload);

void sync_question_answer(sync_question_id_t *id, ngx_str_t *answer);


#endif /* _SYNC_QUESTION_H_INCLUDED_ */
