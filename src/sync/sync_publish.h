
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_PUBLISH_H_INCLUDED_
#define _SYNC_PUBLISH_H_INCLUDED_


#include <sync_settings.h>


/*
 * Puts messages where they are heard from.  A message is answered for when
 * the room's log in the zone has it; members hear of it when their worker
 * looks.
 */


/* What is said; all borrowed for the call. */

typedef struct sync_saying_s  sync_saying_t;

struct sync_saying_s {
    sync_str_t           json;          /* ["event",data] */
    uint32_t             event_len;     /* of the name with its quotes */
    const u_char        *except;        /* ids of SYNC_ID_LEN bytes */
    ngx_uint_t           nexcept;       /* at most SYNC_EXCEPT_MAX */
    uint8_t              flags;         /* SYNC_FRAME_* */
    uint64_t             ack;           /* 48 bits; 0: none is asked for;
                                           or sync_conflate_key() */
    sync_str_t           extra;         /* for those who deliver it */
    sync_str_t           id;            /* its publisher's name for it, or "" */
    uint64_t             lsn;           /* its publisher's; 0: the next one */
    sync_saying_t       *reply;         /* to whom it answers, who is to hear
                                           it first; NULL: nothing */
    const u_char        *asker;         /* whose id that is */
    unsigned             count:1;       /* receivers on other hosts, too */
};


#define SYNC_EXCEPT_MAX  256

#define SYNC_REPLY_MAX   2              /* of s->reply, and what follows it */

/* receivers of a pattern are not counted */

#define SYNC_PUBLISH_UNCOUNTED  ((ngx_uint_t) -1)


typedef struct {
    uint64_t             lsn;
    uint32_t             nonce;
    ngx_uint_t           receivers;
    unsigned             recoverable:1; /* there is a position */
    unsigned             unavailable:1; /* with SYNC_BUSY: Redis is away */
    unsigned             replied:1;     /* s->reply was said, or is lost */
} sync_said_t;


typedef struct sync_publish_s  sync_publish_t;

typedef void (*sync_publish_done_pt)(ngx_int_t rc, sync_said_t *said,
    void *data);


/*
 * To a room; to is its address if the caller has a member in it, or NULL.
 * A name that ends in "*" is a pattern: every room that begins so, each
 * client once.
 *
 * In a recoverable room a message whose id is known is answered as it was,
 * and not said again.
 *
 * Returns SYNC_OK; SYNC_DECLINED if there is nobody to hear it; SYNC_ERROR if
 * its LSN is not above the top, which *said is then; or SYNC_BUSY if the zone
 * is full.
 *
 * s->reply is said with it if said->replied is set then.
 */
ngx_int_t sync_publish_room(sync_main_settings_t *main, sync_str_t *room,
    sync_room_t *to, sync_saying_t *s, sync_said_t *said);

/*
 * The same, for one who answers for it: where hosts share a Redis, it is
 * done when Redis says so.  Then SYNC_AGAIN is returned, and done is called
 * in a later turn with what would have been returned; *said is borrowed.
 *
 * By sync_publish_room() such a message is on its way, and has no position
 * yet.
 */
ngx_int_t sync_publish_room_later(sync_main_settings_t *main,
    sync_str_t *room, sync_room_t *to, sync_saying_t *s, sync_said_t *said,
    sync_publish_done_pt done, void *data, sync_publish_t **publish);

/*
 * Whether it takes Redis to say something in a room: it is in no order, and
 * may not be kept, before that has answered.
 */
ngx_uint_t sync_publish_waits(sync_main_settings_t *main, sync_str_t *room);

/* done will not be called; it may be said all the same. */
void sync_publish_cancel(sync_publish_t *publish);

/*
 * Appends an order for the workers, JSON, to the host's own room.  Returns
 * SYNC_OK or SYNC_BUSY.
 */
ngx_int_t sync_publish_command(sync_main_settings_t *main, sync_str_t *json);

/* To every client of the host. */
ngx_int_t sync_publish_all(sync_main_settings_t *main, sync_saying_t *s,
    sync_said_t *said);

/*
 * To the members of several rooms of the cluster, each client once; the rooms
 * are packed as in sync_presence_store.h.  It stands in no log: who is not
 * there does not hear it.  Returns SYNC_OK or SYNC_BUSY.
 */
ngx_int_t sync_publish_rooms(sync_main_settings_t *main, sync_str_t *rooms,
    sync_saying_t *s);

/*
 * To one client, whatever worker holds it.  Returns SYNC_OK, SYNC_DECLINED
 * if there is no such client, or SYNC_BUSY.
 */
ngx_int_t sync_publish_client(sync_main_settings_t *main, const u_char *id,
    sync_saying_t *s);

/*
 * The same for what answers a client of this zone: it waits for no message to
 * all that takes its worker several turns.
 */
ngx_int_t sync_publish_reply(sync_main_settings_t *main, const u_char *id,
    sync_saying_t *s);


/*
 * To all clients that have the token with this id.  Returns SYNC_OK,
 * SYNC_DECLINED if there is none, or SYNC_BUSY.
 */
ngx_int_t sync_publish_token(sync_main_settings_t *main, const u_char *id,
    sync_saying_t *s, sync_said_t *said);

/* Has those workers that hold clients with the token do what json says. */
ngx_int_t sync_publish_token_command(sync_main_settings_t *main,
    const u_char *id, sync_str_t *json, const u_char *except);

/*
 * What was said elsewhere, as the entry of a log: a copy.  Its subject is the
 * room, if it stood in one.  It is heard here and goes nowhere else.  Returns
 * as sync_publish_room() does.
 */
ngx_int_t sync_publish_relayed(sync_main_settings_t *main, sync_entry_t *e);


#endif /* _SYNC_PUBLISH_H_INCLUDED_ */
