
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_COLLECT_H_INCLUDED_
#define _SYNC_COLLECT_H_INCLUDED_


#include <sync_settings.h>
#include <sync_ack.h>
#include <sync_json.h>


/*
 * Clients are asked, and answer from whatever worker holds them.
 *
 *     create --> the message, with the number --> expect who hears it --> start
 *                                                                           |
 *     done <-- all have answered or are gone, or the time is over <---------'
 *
 * A collection belongs to its pool, and ends with it.  Who was not expected may
 * answer too, if it knows the number: it heard the message, in a room it
 * came to in that moment.  The first answer of a client counts.
 */


#define SYNC_COLLECT_MAX    1024        /* expected */
#define SYNC_COLLECT_BYTES  1048576     /* of all answers */


typedef struct sync_collect_s  sync_collect_t;

typedef void (*sync_collect_done_pt)(void *data);


/*
 * Returns NULL if SYNC_ACKS_MAX asks are under way on this host, *full is set
 * then, or if there is no memory.
 */
sync_collect_t *sync_collect_create(sync_main_settings_t *main,
    ngx_pool_t *pool, ngx_uint_t *full);

/* What the message is to be acknowledged by. */
uint64_t sync_collect_number(sync_collect_t *co);

/*
 * A client that is waited for; the same one twice is one.  Returns SYNC_OK
 * or SYNC_BUSY if there are SYNC_COLLECT_MAX.
 */
ngx_int_t sync_collect_expect(sync_collect_t *co, const u_char *id);

/* How many are. */
ngx_uint_t sync_collect_expected(sync_collect_t *co);

/* Waits up to timeout ms; done(data) is called once, in another turn. */
void sync_collect_start(sync_collect_t *co, ngx_msec_t timeout,
    sync_collect_done_pt done, void *data);

/*
 * Writes "acks":{id:[...],...},"missing":[id,...]: what was answered, and by
 * whom it was not.
 */
void sync_collect_write(sync_collect_t *co, sync_writer_t *w);

/*
 * A client acknowledged something; args is a JSON array.  What nobody waits
 * for is counted and ignored.
 */
void sync_collect_answer(sync_client_t *c, uint64_t number, sync_str_t *args);

/* The same, said as an event: ["ack",{"id":...,"args":[...]}]. */
void sync_collect_event(sync_client_t *c, sync_json_t *arg);

/* Takes what was answered; for sync_wake_handler_t.look. */
void sync_collect_look(void);

/* Of this worker: asks that were started and are not done. */
ngx_uint_t sync_collect_waiting(void);


#endif /* _SYNC_COLLECT_H_INCLUDED_ */
