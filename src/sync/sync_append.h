
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_APPEND_H_INCLUDED_
#define _SYNC_APPEND_H_INCLUDED_


#include <sync_settings.h>
#include <sync_packet.h>


/*
 * The log of a room that keeps a history, where hosts share it: a stream in
 * Redis, to which one script appends.
 *
 *     prefix:s:ROOM      the stream; an entry's id is its LSN, as the two
 *                        halves of it; field "m": place and packet
 *     prefix:i:ROOM:ID   the position that a message with this id got
 *     prefix:b:ROOM      the nonce of an empty stream, before its first entry
 *
 * The script knows a message by its id, refuses one whose LSN is not above
 * the top, appends, trims, and publishes to prefix:r:ROOM, as one step.  So
 * the order of a room is that of its stream, on every host.
 */


#define SYNC_APPEND_KEY_MAX  (64 + 4 + 2 * SYNC_NAME_MAX)


/*
 * rc is SYNC_OK, repeated if the id was known; SYNC_ERROR if the LSN was
 * stale, *pos being the top; or SYNC_BUSY if Redis did not say that it was
 * done, pos being NULL.
 */
typedef void (*sync_append_pt)(ngx_int_t rc, sync_position_t *pos,
    ngx_uint_t repeated, void *data);


/* In a worker that has a Redis. */
void sync_append_init_worker(sync_main_settings_t *main);

/* The command link to a shard is there. */
void sync_append_connected(ngx_uint_t shard);

/*
 * Appends a message, packet being borrowed; id may be empty.  m->lsn is 0 or
 * what the publisher says.  Returns SYNC_OK: the handler will be called, never
 * from within; or SYNC_BUSY if it cannot be done now.
 */
ngx_int_t sync_append(sync_str_t *room, sync_room_rule_t *rule,
    sync_message_t *m, sync_packet_t *packet, sync_str_t *id,
    sync_append_pt handler, void *data);

/*
 * An empty stream has a position, too: so one that has come to its end and
 * begins anew is told from one that has just begun.  Asks for its nonce, made
 * if there is none.
 */
ngx_int_t sync_append_birth(ngx_uint_t shard, sync_str_t *room,
    sync_room_rule_t *rule, sync_redis_call_t **call,
    sync_redis_reply_pt handler, void *data);

/*
 * Parses the answer.  Returns SYNC_OK; SYNC_DECLINED if it is not empty; or
 * SYNC_ERROR.
 */
ngx_int_t sync_append_parse_birth(uint32_t *nonce, redisReply *reply);

/* Writes the name of that to buf of SYNC_APPEND_KEY_MAX bytes. */
void sync_append_birth_key(sync_str_t *room, sync_str_t *key, u_char *buf);

/* Writes the name of a room's stream to buf of SYNC_APPEND_KEY_MAX bytes. */
void sync_append_key(sync_str_t *room, sync_str_t *key, u_char *buf);


#endif /* _SYNC_APPEND_H_INCLUDED_ */
