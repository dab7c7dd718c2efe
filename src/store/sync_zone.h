
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ZONE_H_INCLUDED_
#define _SYNC_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_base.h>
#include <sync_heap.h>


/*
 * The zone: what all workers of a host share.
 *
 *     slab pool -- sync_zone_sh_t --+-- workers[]   slots, sync_worker.h
 *                                   +-- rooms[]     hash, sync_room.h
 *                                   +-- records[]   hash, and of their
 *                                   +-- clients[]   users, sync_registry.h
 *                                   +-- formers[]   hash, sync_former.h
 *                                   +-- sids[]      hash, sync_sid.h
 *                                   +-- sessions[]  hash, and of their
 *                                   +-- users[]     users, sync_session_store.h
 *                                   +-- absents[]   hash, sync_absent.h
 *                                   +-- presences[] hash, see there
 *                                   +-- rates[]     windows, sync_rate.h
 *                                   +-- texts[]     hash, sync_text.h
 *                                   +-- receipts[]  sync_receipt.h
 *                                   +-- shares[]    hash, sync_share.h
 *                                   +-- host        the room of this host
 *                                   +-- relay       what is for other zones
 *                                   `-- heap        memory, sync_heap.h
 *
 * There is one lock, the slab pool's mutex, as nginx frees only that one
 * when a worker dies with it.  It is held for microseconds: under it there
 * is no I/O, no log line, no callback.
 *
 * A holder may be killed at any instruction.  So what another may find is
 * prepared first and linked by one store; of a doubly linked queue only the
 * next pointers are trusted.  The stamp says what its holder is about to
 * change; it is zero while the lock is free.  The next holder that finds
 * it set mends exactly that, and resets that room's log.  The slab pool is
 * asked for memory once, as its own lists would not survive that.
 *
 * The zone outlives reloads with the same name and size.  Pointers inside
 * it are plain, as all workers are forked from a master that mapped it
 * once, and lead nowhere outside of it.
 */


#define SYNC_WORKERS_MAX   512          /* slots of a zone, at most */
#define SYNC_ZONE_MIN      (1024 * 1024)  /* bytes; the least size allowed */
#define SYNC_ACKS_MAX      256          /* waited for; a power of two */
#define SYNC_TEXTS_MAX     256          /* under way, see sync_text.h */
#define SYNC_TEXTS_ROOM    16           /* of them in one room */
#define SYNC_TEXTS_BUCKETS 64           /* a power of two */
#define SYNC_TEXTS_ENDED   64           /* that are remembered */
#define SYNC_RECEIPTS_MAX  256          /* under way; a power of two */
#define SYNC_SHARES_BUCKETS 64          /* a power of two */
#define SYNC_ZONE_VERSION  17           /* of the layout of what is in it */
#define SYNC_RATE_SET      8            /* entries of a set of rates */
#define SYNC_ID_LEN        16           /* bytes of a client's id */
#define SYNC_HOLDERS_MAX   32           /* see sync_holder.h */
#define SYNC_HOSTS_MAX     64           /* that are known, see sync_lease.h */
#define SYNC_HOST_NAME     47           /* bytes of it that are kept */
#define SYNC_RELAYS_MAX    8            /* zones of a host, see sync_relay.h */


typedef struct sync_zone_s       sync_zone_t;
typedef struct sync_zone_sh_s    sync_zone_sh_t;
typedef struct sync_worker_s     sync_worker_t;
typedef struct sync_room_s       sync_room_t;
typedef struct sync_interest_s   sync_interest_t;
typedef struct sync_member_s     sync_member_t;
typedef struct sync_record_s     sync_record_t;
typedef struct sync_user_s       sync_user_t;
typedef struct sync_former_s     sync_former_t;
typedef struct sync_chunk_s      sync_chunk_t;
typedef struct sync_ids_s        sync_ids_t;
typedef struct sync_rate_s       sync_rate_t;
typedef struct sync_sid_s        sync_sid_t;
typedef struct sync_sid_node_s   sync_sid_node_t;
typedef struct sync_relay_hub_s  sync_relay_hub_t;
typedef struct sync_session_s    sync_session_t;
typedef struct sync_ack_s        sync_ack_t;
typedef struct sync_text_s       sync_text_t;
typedef struct sync_receipt_s    sync_receipt_t;
typedef struct sync_absent_s     sync_absent_t;
typedef struct sync_share_s      sync_share_t;
typedef struct sync_presence_s   sync_presence_t;

typedef struct sync_presence_rule_s  sync_presence_rule_t;


/*
 * Counters: one set a slot, written by its worker alone and without the
 * lock; a slot given back adds its set to the zone's own.  FULL, RESETS,
 * EVICTED_* and REAPED are counted by the stores, the others by who calls
 * them.
 */

typedef enum {
    SYNC_COUNT_CONNECTS = 0,        /* clients accepted, all transports */
    SYNC_COUNT_DISCONNECTS,
    SYNC_COUNT_REFUSED,             /* handshakes: origin, hook, limits */
    SYNC_COUNT_RECEIVED,            /* messages from clients */
    SYNC_COUNT_RECEIVED_BYTES,
    SYNC_COUNT_INVALID,             /* frames or messages that do not parse */
    SYNC_COUNT_JOINS,
    SYNC_COUNT_LEAVES,
    SYNC_COUNT_PUBLISHED,           /* messages appended to a room */
    SYNC_COUNT_DELIVERED,           /* messages queued to a client */
    SYNC_COUNT_DELIVERED_BYTES,
    SYNC_COUNT_WRITES,              /* system calls that wrote to clients */
    SYNC_COUNT_DROPPED,             /* messages not queued: queue=drop */
    SYNC_COUNT_CONFLATED,           /* replaced before it was queued */
    SYNC_COUNT_SLOW,                /* clients closed: queue=close */
    SYNC_COUNT_TIMEOUTS,            /* clients closed: no pong */
    SYNC_COUNT_OVERRUN,             /* messages gone before a worker came */
    SYNC_COUNT_WAKES,
    SYNC_COUNT_HOOKS,               /* calls started */
    SYNC_COUNT_HOOK_FAILURES,
    SYNC_COUNT_HOOK_BUSY,           /* calls refused, the queue being full */
    SYNC_COUNT_HOOK_CANCELLED,      /* calls given up by who asked */
    SYNC_COUNT_HOOK_HELD,           /* answers held, a client being behind */
    SYNC_COUNT_CHUNKS,              /* taken from answers in lines */
    SYNC_COUNT_NOTIFY_DROPPED,      /* events that a hook was never told */
    SYNC_COUNT_WITHHELD,            /* by a filter, or the client hook */
    SYNC_COUNT_CLIENT_ERRORS,       /* told instead of a message */
    SYNC_COUNT_SHARED,              /* calls for members of several workers */
    SYNC_COUNT_SHARES_LATE,         /* those that did not wait for all */
    SYNC_COUNT_SHARES_LOST,         /* shares that are asked for alone */
    SYNC_COUNT_STAGE_TIMEOUTS,      /* messages for which the app took too
                                       long */
    SYNC_COUNT_TOKENS_INVALID,      /* too long, or with bytes none has */
    SYNC_COUNT_SESSIONS_INVALID,    /* values that are no session */
    SYNC_COUNT_SESSION_READS,       /* that were not known in the zone */
    SYNC_COUNT_SESSION_CHANGES,     /* that clients were told of */
    SYNC_COUNT_LOGOUTS,             /* clients whose session ended */
    SYNC_COUNT_FULL,                /* allocations the zone had no room for */
    SYNC_COUNT_RESETS,              /* rooms reset after a death in the lock */
    SYNC_COUNT_EVICTED_COUNT,       /* of a history: too many, or bytes */
    SYNC_COUNT_EVICTED_AGE,
    SYNC_COUNT_EVICTED_PRESSURE,    /* the zone was short of memory */
    SYNC_COUNT_REPEATED,            /* publishes with an id that was known */
    SYNC_COUNT_STALE,               /* with an LSN not above the top */
    SYNC_COUNT_RECOVERED,           /* positions handed back, and good */
    SYNC_COUNT_LOST,                /* the same, and something was missed */
    SYNC_COUNT_REPLAYED,            /* messages to who missed them */
    SYNC_COUNT_GAPS,                /* members told that they missed some */
    SYNC_COUNT_FORGOTTEN,           /* clients that left, before time */
    SYNC_COUNT_REAPED,              /* slots of dead workers */
    SYNC_COUNT_RATE_LIMITED,        /* requests above a rate */
    SYNC_COUNT_RATE_EVICTED,        /* counts forgotten to make room */
    SYNC_COUNT_RATE_TOLD,           /* requests other hosts know of */
    SYNC_COUNT_RATE_UNTOLD,         /* that they may not know of */
    SYNC_COUNT_DRAINED,             /* clients let go by a reload or stop */
    SYNC_COUNT_REDIS_COMMANDS,
    SYNC_COUNT_REDIS_ERRORS,        /* answers that are errors */
    SYNC_COUNT_REDIS_TIMEOUTS,
    SYNC_COUNT_REDIS_LOST,          /* commands that went with their link */
    SYNC_COUNT_REDIS_BUSY,          /* commands refused, too many waiting */
    SYNC_COUNT_REDIS_RECONNECTS,
    SYNC_COUNT_BRIDGED,             /* messages passed on to other zones */
    SYNC_COUNT_BRIDGE_LOST,         /* of this zone or to it, that were not */
    SYNC_COUNT_ACKS,                /* acknowledgements that were waited for */
    SYNC_COUNT_ACKS_LATE,           /* that nobody waits for */
    SYNC_COUNT_ACKS_DROPPED,        /* not kept: too much, the zone is full */
    SYNC_COUNT_RECEIPTS_DROPPED,    /* messages whose receivers are unknown */
    SYNC_COUNT_TEXTS_CUT,           /* not kept in full for who joins */
    SYNC_COUNT_CLUSTER_SENT,        /* messages to other hosts */
    SYNC_COUNT_CLUSTER_UNSENT,      /* those that Redis did not get */
    SYNC_COUNT_CLUSTER_RECEIVED,    /* messages of other hosts */
    SYNC_COUNT_CLUSTER_INVALID,     /* those that do not parse */
    SYNC_COUNT_CLUSTER_FORKS,       /* logs begun anew from Redis */
    SYNC_COUNT_CLUSTER_QUESTIONS,   /* asked of all hosts */
    SYNC_COUNT_CLUSTER_UNANSWERED,  /* hosts that did not, of each */
    SYNC_COUNT_RETURNED,            /* clients that came back as they were */
    SYNC_COUNT_RETURN_FAILED,       /* that came back, but something was lost */
    SYNC_COUNT_RETURN_DROPPED,      /* that left, and were not kept */
    SYNC_COUNT_AFK,                 /* users who fell silent */
    SYNC_COUNT_BACK,                /* users who came back in time */
    SYNC_COUNT_GONE,                /* users who did not */
    SYNC_COUNT_PRESENCE_DROPPED,    /* users away, and not kept */
    SYNC_COUNT_MAX
} sync_counter_e;


/* A worker's slot, see sync_worker.h. */

struct sync_worker_s {                  /* in the zone, sh->nslots */
    ngx_pid_t            pid;           /* 0: free */
    uint32_t             incarnation;
    uint32_t             generation;    /* of the owner's configuration */
    int32_t              fd;            /* eventfd, the same in all, or -1 */
    uint64_t             started;       /* of the process, clock ticks */
    ngx_atomic_t         woken;
    ngx_atomic_t         beat;          /* ms, by the owner's slow tick */
    unsigned             exiting:1;     /* drains: takes no new clients */
    unsigned             dead:1;        /* being reaped */
    uint32_t             nclients;
    uint32_t             nmembers;
    ngx_queue_t          dirty;         /* of sync_interest_t */
    sync_sid_node_t     *sids;          /* sessions with news, newest first */
    uint32_t             arrived;       /* one of them came from elsewhere */
    sync_interest_t     *host;          /* in the host's own room */
    uint32_t             redis_links;   /* that are ready */
    uint32_t             redis_pending; /* commands that wait for an answer */
    uint64_t             counters[SYNC_COUNT_MAX];
};


/* Who holds what a host has one of, see sync_holder.h. */

typedef struct {                        /* in the zone, SYNC_HOLDERS_MAX */
    uint64_t             owner;         /* incarnation << 32 | slot + 1 */
    uint64_t             next;          /* the same; 0: nobody */
} sync_holder_t;


/* What came from another zone of the host, see sync_relay.h. */

typedef struct {                        /* in the zone, SYNC_RELAYS_MAX */
    uint64_t             zone;          /* the other one's id */
    uint64_t             lsn;           /* of the last that came */
} sync_relay_seen_t;


/*
 * A window and what was counted in it, see sync_rate.h: SYNC_RATE_SET of them
 * are a set.  A holder of the lock that dies leaves it free, or with a hit
 * less: there is nothing to mend.
 */

struct sync_rate_s {                    /* in the zone, 32 bytes */
    uint64_t             key;
    uint64_t             end;           /* ms, 0: free */
    uint32_t             count;         /* on this host */
    uint32_t             others;        /* on other hosts, as far as known */
    uint32_t             told;          /* of count, what they know of */
    uint32_t             start;         /* ms, the lower half of it */
};


/* How many clients a message went to, see sync_receipt.h. */

struct sync_receipt_s {                 /* in the zone, 24 bytes */
    uint64_t             number;        /* with its place; 0: free */
    uint32_t             clients;
    uint16_t             waits;         /* workers that have not reported */
    uint16_t             slot;          /* of who asks */
    uint32_t             open;          /* it was not appended yet */
};


/*
 * What the holder of the lock is changing; all zero when it changes nothing.
 * Whatever a field points to is not freed before the field is cleared.
 */

typedef struct {
    ngx_pid_t            pid;           /* the holder's, 0: lock is free */
    sync_room_t         *room;          /* its links, interests or log */
    sync_member_t       *member;        /* comes to its room, or leaves it */
    sync_record_t       *record;        /* goes to another worker */
    sync_interest_t     *interest;      /* comes to the dirty queue, or ... */
    sync_sid_t          *sid;           /* its places in workers' lists, what
                                           came for it, its owner */
    sync_session_t      *session;       /* its place among its user's */
    sync_user_t         *user;          /* its place in its bucket */
} sync_stamp_t;


/*
 * A host that shares the Redis, as one hears.  There is nothing to mend: all
 * of them are written anew each second.
 */

typedef struct {                        /* in the zone, 64 bytes */
    uint64_t             id;
    uint32_t             nclients;
    uint8_t              len;
    u_char               name[SYNC_HOST_NAME];
} sync_host_t;


struct sync_zone_sh_s {                 /* in the zone, one */
    uint32_t             version;       /* of this layout */
    uint32_t             nworkers;      /* slots that have an eventfd */
    uint32_t             nslots;        /* room for so many */
    uint32_t             generation;    /* of the configuration */

    sync_stamp_t         stamp;

    uint32_t             mask;          /* of these hashes: buckets - 1 */
    sync_room_t        **rooms;
    sync_record_t      **records;
    sync_user_t        **clients;
    uint64_t             user_number;   /* the last one given */
    sync_former_t      **formers;
    sync_former_t       *former_oldest;
    sync_former_t       *former_newest; /* or one before; see there */
    sync_former_t       *former_told;   /* the last one Redis has, or NULL */
    uint64_t             former_number; /* the last one given */
    uint32_t             sid_mask;      /* of the hashes of sessions */
    sync_sid_t         **sids;
    sync_session_t     **sessions;
    sync_session_t     **users;
    sync_absent_t      **absents;       /* as many as sessions */
    uint32_t             rate_mask;     /* sets of rates - 1 */
    sync_rate_t         *rates;         /* sync_rate.h */
    uint64_t             key[2];        /* of sync_zone_hash() */
    ngx_uint_t           nrooms;
    ngx_uint_t           nclients;
    ngx_uint_t           nsids;
    ngx_uint_t           nsessions;     /* tokens that are known */
    ngx_uint_t           nabsents;      /* clients that may come back */
    uint32_t             absent_bucket; /* the next one to be swept */
    sync_presence_t    **presences;     /* as many as sessions */
    ngx_uint_t           npresences;    /* users who are away */
    size_t               presence_bytes;    /* that they take */
    ngx_msec_t           presence_swept;
    ngx_uint_t           nprivate;      /* rooms of tokens */
    uint64_t             session_version;   /* the last one given */
    uint32_t             session_epoch; /* a change may not have been told */
    uint32_t             session_bucket;    /* the next one to be swept */
    ngx_msec_t           session_swept;
    ngx_uint_t           nmembers;
    ngx_uint_t           npatterns;     /* rooms whose name ends in '*' */
    uint32_t             patterns[SYNC_NAME_MAX + 1];   /* by name length */

    sync_ack_t          *acks[SYNC_ACKS_MAX];

    sync_text_t         *texts[SYNC_TEXTS_BUCKETS];
    sync_receipt_t       receipts[SYNC_RECEIPTS_MAX];   /* sync_receipt.h */
    sync_share_t        *shares[SYNC_SHARES_BUCKETS];   /* sync_share.h */
    uint64_t             share_number;  /* the last one given */
    uint64_t             texts_ended[SYNC_TEXTS_ENDED];     /* their ids */
    uint32_t             texts_over;    /* the last of these */
    uint32_t             texts_swept;   /* buckets, ever */

    uint32_t             births;        /* of logs, ever */
    uint32_t             sweep;         /* bucket of rooms, last looked at */

    sync_room_t         *host;          /* every worker reads it */
    ngx_queue_t          idle;          /* rooms without members, for expiry */

    sync_room_t         *relay;         /* NULL: was never needed */
    uint64_t             relayed;       /* LSN, passed on up to there */
    sync_relay_seen_t    seen[SYNC_RELAYS_MAX];     /* by place */

    sync_holder_t        holders[SYNC_HOLDERS_MAX];
    uint32_t             tracked;       /* changed keys are heard of */
    uint32_t             subscribed;    /* bits: shards that are heard of */
    uint32_t             links[SYNC_HOLDERS_MAX];   /* of a shard: rises
                                           with each subscription */
    uint64_t             id;            /* of the host, for others */
    ngx_uint_t           nhosts;        /* this one among them */
    sync_host_t          hosts[SYNC_HOSTS_MAX];

    sync_heap_t          heap;

    uint64_t             counters[SYNC_COUNT_MAX];      /* of slots given up */
    sync_worker_t       *workers;       /* nslots of them */
};


/* Mends what *stamp says, under the lock: sync_room_mend(). */
typedef void (*sync_zone_mend_pt)(sync_zone_t *z, sync_stamp_t *stamp);


struct sync_zone_s {                    /* one a process and zone */
    sync_zone_sh_t      *sh;
    ngx_slab_pool_t     *shpool;
    sync_worker_t       *self;          /* this worker's slot, or NULL */
    sync_relay_hub_t    *hub;           /* NULL: no bridge to other zones */
    ngx_uint_t           place;         /* in the hub */
    ngx_str_t            name;
    sync_zone_mend_pt    mend;          /* set before the first lock */
    uint32_t             remember;      /* s, clients that left; 0: none */
    uint32_t             generation;    /* of this process's configuration */
    ngx_uint_t           npresences;
    sync_presence_rule_t *presences;    /* of this configuration */
    uint64_t             unused[SYNC_COUNT_MAX];    /* counts before a slot */
};


/*
 * Makes the zone in fresh memory, or takes over what is there: data is the
 * old cycle's sync_zone_t or NULL, and shm.exists says that another binary
 * left it.  For an init_zone callback.
 *
 * Returns SYNC_OK; SYNC_DECLINED if the memory holds another layout; or
 * SYNC_ERROR if it is too small.
 */
ngx_int_t sync_zone_init(sync_zone_t *z, ngx_shm_zone_t *shm_zone,
    sync_zone_t *old);

/*
 * Takes the lock.  If its last holder died with it, mends first.  A holder
 * that died is detected here as well, so that a zone that the master no
 * longer knows (resized by a reload) does not block its last workers.
 */
void sync_zone_lock(sync_zone_t *z);
void sync_zone_unlock(sync_zone_t *z);

/*
 * Memory of the zone, not cleared; NULL if there is none left, which is
 * counted and is an ordinary answer.  The caller holds the lock.
 */
void *sync_zone_alloc_locked(sync_zone_t *z, size_t size);
void sync_zone_free_locked(sync_zone_t *z, void *p);

/* Bytes: of the zone, and of its memory that is free now. */
size_t sync_zone_size(sync_zone_t *z);
size_t sync_zone_unused(sync_zone_t *z);

/* Sums the slots' counters and the zone's own into sum[SYNC_COUNT_MAX]. */
void sync_zone_counters(sync_zone_t *z, uint64_t *sum);

/*
 * A hash of a name, the same in all workers; who does not know the zone's
 * key cannot make up names that collide.
 */
uint32_t sync_zone_hash(sync_zone_t *z, const u_char *data, size_t len);
uint64_t sync_zone_hash64(sync_zone_t *z, const u_char *data, size_t len);

/*
 * Queues that survive their writer: along the next pointers they are right
 * at any instant.  sync_zone_queue_mend() makes the prev pointers follow.
 */
void sync_zone_queue_add(ngx_queue_t *h, ngx_queue_t *q);
void sync_zone_queue_remove(ngx_queue_t *q);
void sync_zone_queue_mend(ngx_queue_t *h);


/* Counts n more of what; no lock; only in the worker that owns the slot. */
#define sync_zone_count(z, what, n)                                           \
    (*((z)->self ? &(z)->self->counters[what] : &(z)->unused[what]) += (n))


#endif /* _SYNC_ZONE_H_INCLUDED_ */
