
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


void sync_mirror_init_worker(sync_main_settings_t *main,
    void (*linked)(sync_str_t *room));

/* The topic is subscribed to, or is again: its room is to catch up. */
void sync_mirror_load(sync_topic_t *topic);

/* A message came; topic is NULL if only patterns are subscribed to. */
void sync_mirror_message(sync_topic_t *topic, sync_str_t *room,
    sync_packet_place_t *place, sync_packet_t *packet);

/* Each second or so, while it has members: keeps the stream from expiring. */
void sync_mirror_keep(sync_topic_t *topic);

/* Somebody waits for its room to be linked. */
void sync_mirror_wanted(sync_topic_t *topic);

/* The topic goes. */
void sync_mirror_forget(sync_topic_t *topic);


#endif /* _SYNC_MIRROR_H_INCLUDED_ */
