
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_MIRROR_H_INCLUDED_
#define _SYNC_MIRROR_H_INCLUDED_


#include <sync_topic.h>
#include <sync_packet.h>


/*
 * The log in the zone of a room that keeps a history follows the stream in
 * Redis, see sync_append.h.
 *
 *     topic subscribed --> load from the top, or whole --> linked
 *                             ^                              |
 *                             `----(a gap, another life)-----'
 *
 * Each message names the one before it.  What does not follow the top of our
 * log is not taken; the stream is read from there.  If that does not follow
 * either, the stream is another one than it was: the log begins anew with all
 * there is, and members are told that theirs was reset.
 */


/*
 * Patterns hear of a message as it comes, whether the room's own log has got
 * so far or not, and of one that did not come when it is read from the stream;
 * but not of a history that is read as a whole.
 */
typedef struct {
    void        (*linked)(sync_str_t *room);

    /* patterns were told of it, or of a later one of the same sender */
    ngx_uint_t  (*known)(ngx_uint_t shard, sync_packet_t *packet);

    /* they are told now */
    void        (*note)(ngx_uint_t shard, sync_packet_t *packet);
} sync_mirror_handler_t;


void sync_mirror_init_worker(sync_main_settings_t *main,
    const sync_mirror_handler_t *handler);

/* The topic is subscribed to, or is again: its room is to catch up. */
void sync_mirror_load(sync_topic_t *topic);

/* A message came; topic is NULL if only patterns are subscribed to. */
void sync_mirror_message(ngx_uint_t shard, sync_topic_t *topic,
    sync_str_t *room, sync_packet_place_t *place, sync_packet_t *packet);

/* Each second or so, while it has members: keeps the stream from expiring. */
void sync_mirror_keep(sync_topic_t *topic);

/* Somebody waits for its room to be linked. */
void sync_mirror_wanted(sync_topic_t *topic);

/* The topic goes. */
void sync_mirror_forget(sync_topic_t *topic);


#endif /* _SYNC_MIRROR_H_INCLUDED_ */
