
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_TEXT_H_INCLUDED_
#define _SYNC_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_zone.h>
#include <sync_worker.h>
#include <sync_log.h>


/*
 * Texts that are said in pieces, for who joins in the middle.
 *
 *     texts[hash of the room] -> text -> text -> ...
 *                                 |
 *                                 `-- room | head | tail | so far |
 *
 * A message with SYNC_TEXT_PIECE is a piece of a text: the bytes [at,
 * at + len) of its JSON follow those that the pieces before it had.  It is
 * added as it is appended to the room's log, under one lock, and who joins is
 * given what there is under the lock by which it joins: so it has all that
 * was said before, and hears what is said after.
 *
 * A text is known by its room and a random number.  It has a limit: what
 * does not fit is not kept, nor is what comes after, and the text is marked.
 * It goes when it is ended, when its worker dies, or when nothing was added
 * to it for SYNC_TEXT_IDLE.
 *
 * All links are single, and a text that grows is replaced by one store.
 */


/* In sync_entry_t.flags. */

#define SYNC_TEXT_PIECE    0x20         /* its extra is of a piece */
#define SYNC_TEXT_CUT      0x20         /* of a copy: there was more */

#define SYNC_TEXT_EXTRA    44           /* bytes of a piece's extra */
#define SYNC_TEXT_IDLE     900000       /* ms */


typedef struct {
    uint64_t             host;          /* whose it is */
    uint64_t             owner;         /* incarnation << 32 | slot + 1 */
    uint64_t             id;            /* of the text, not 0 */
    uint32_t             before;        /* bytes of the text before it */
    uint32_t             at;            /* in the message's JSON */
    uint32_t             len;
    uint32_t             limit;         /* bytes of a text that are kept */
    uint32_t             unused;
} sync_text_piece_t;


struct sync_text_s {                    /* in the zone, its bytes after */
    sync_text_t         *next;          /* of the bucket */
    uint64_t             id;
    uint64_t             owner;         /* 0: a worker of another host */
    uint64_t             time;          /* ms since the epoch, of the last */
    uint32_t             hash;          /* of the room's name */
    uint32_t             size;          /* bytes in data */
    uint32_t             head;          /* of JSON, before the text */
    uint32_t             tail;          /* and behind it */
    uint32_t             len;           /* of the text so far */
    uint32_t             event_len;
    uint16_t             name;          /* bytes of the room's name */
    uint8_t              cut;           /* there was more */
    u_char               data[1];       /* name, head, tail, text */
};


/* What a client that joins is given: entries, as those of a log. */

typedef struct {
    u_char              *buf;           /* the caller's, aligned to 8 */
    size_t               size;
    size_t               need;          /* with SYNC_AGAIN: a size that fits */
    size_t               len;           /* bytes written */
} sync_texts_t;


/* The worker that owns the texts it begins. */
#define sync_text_owner(z)                                                    \
    ((uint64_t) (z)->self->incarnation << 32                                  \
     | (sync_worker_slot(z, (z)->self) + 1))

/* Writes a piece's extra, SYNC_TEXT_EXTRA bytes. */
void sync_text_write(u_char *p, sync_text_piece_t *piece);

/*
 * Ends a text: pieces of it that come late are not added, either.  It may
 * not be there.
 */
void sync_text_end(sync_zone_t *z, sync_str_t *room, uint64_t id);

/* How many there are. */
ngx_uint_t sync_text_count(sync_zone_t *z);


/* For the stores alone; the caller holds the lock. */

/*
 * Adds what a message with SYNC_TEXT_PIECE has, or nothing, if it is no
 * piece, or one before it is missing.  Counts texts that are cut.
 */
void sync_text_add_locked(sync_zone_t *z, sync_str_t *room,
    sync_message_t *m);

/* Bytes that the texts of a room take as entries. */
size_t sync_text_need_locked(sync_zone_t *z, sync_str_t *room);

/* Copies them as entries at a position: texts->size suffices for that. */
void sync_text_copy_locked(sync_zone_t *z, sync_str_t *room,
    sync_position_t *pos, sync_texts_t *texts);

/* Frees those of a slot. */
void sync_text_reap_locked(sync_zone_t *z, ngx_uint_t slot);

/* Frees those of the next bucket that are over. */
void sync_text_expire_locked(sync_zone_t *z);

/*
 * Verifies all of them; NULL, or what is wrong.  Adds the bytes that they
 * take to *used.  For tests.
 */
const char *sync_text_check(sync_zone_t *z, size_t *used);


#endif /* _SYNC_TEXT_H_INCLUDED_ */
