
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_ids.h>


#define SYNC_IDS_FIRST  16              /* slots at first */

#define sync_ids_size(n)                                                      \
    (offsetof(sync_ids_t, slots)                                              \
     + (n) * (sizeof(sync_ids_slot_t) + sizeof(uint32_t)))

#define sync_ids_heads(ids)  ((uint32_t *) &(ids)->slots[(ids)->size])


/* the structure has the size that is stated */

typedef char sync_ids_slot_is_32[sizeof(sync_ids_slot_t) == 32 ? 1 : -1];


static void sync_ids_drop(sync_ids_t *ids, uint32_t i);


sync_ids_slot_t *
sync_ids_lookup_locked(sync_ids_t *ids, uint64_t hash)
{
    uint32_t          i;
    sync_ids_slot_t  *slot;

    if (ids == NULL) {
        return NULL;
    }

    for (i = sync_ids_heads(ids)[hash & (ids->size - 1)]; i; i = slot->next) {
        slot = &ids->slots[i - 1];

        if (slot->hash == hash) {
            return slot;
        }
    }

    return NULL;
}


sync_ids_t *
sync_ids_reserve_locked(sync_zone_t *z, sync_ids_t *ids, uint32_t history)
{
    uint32_t          i, max, size;
    sync_ids_t       *new;
    sync_ids_slot_t  *slot;

    for (max = SYNC_IDS_MIN; max < history && max < SYNC_IDS_MAX; max *= 2) {
        /* void */
    }

    if (ids && (ids->n < ids->size || ids->size >= max)) {
        return ids;
    }

    size = ids ? ids->size * 2 : SYNC_IDS_FIRST;

    new = sync_zone_alloc_locked(z, sync_ids_size(size));
    if (new == NULL) {
        return NULL;
    }

    ngx_memzero(new, offsetof(sync_ids_t, slots));

    new->size = size;
    ngx_memzero(sync_ids_heads(new), size * sizeof(uint32_t));

    for (i = 0; ids && i < ids->n; i++) {
        slot = &ids->slots[(ids->next + i) & (ids->size - 1)];

        sync_ids_add_locked(new, slot->hash, slot->lsn, slot->nonce,
                            slot->receivers);
    }

    return new;
}


void
sync_ids_add_locked(sync_ids_t *ids, uint64_t hash, uint64_t lsn,
    uint32_t nonce, uint32_t receivers)
{
    uint32_t         *head;
    sync_ids_slot_t  *slot;

    if (ids->n == ids->size) {
        sync_ids_drop(ids, ids->next);

    } else {
        ids->n++;
    }

    head = &sync_ids_heads(ids)[hash & (ids->size - 1)];
    slot = &ids->slots[ids->next];

    slot->hash = hash;
    slot->lsn = lsn;
    slot->nonce = nonce;
    slot->receivers = receivers;
    slot->next = *head;
    slot->reserved = 0;

    ids->next++;
    *head = ids->next;

    ids->next &= ids->size - 1;
}


/* Takes a slot out of its chain. */

static void
sync_ids_drop(sync_ids_t *ids, uint32_t i)
{
    uint32_t  *p;

    p = &sync_ids_heads(ids)[ids->slots[i].hash & (ids->size - 1)];

    while (*p != i + 1) {
        p = &ids->slots[*p - 1].next;
    }

    *p = ids->slots[i].next;
}


const char *
sync_ids_check(sync_ids_t *ids)
{
    uint32_t  i, n, next;

    if (ids->size == 0 || (ids->size & (ids->size - 1))
        || ids->size > SYNC_IDS_MAX || ids->n > ids->size
        || ids->next >= ids->size)
    {
        return "a table of ids has no size";
    }

    n = 0;

    for (i = 0; i < ids->size; i++) {

        next = sync_ids_heads(ids)[i];

        while (next) {
            if (next > ids->size || ++n > ids->n
                || (ids->slots[next - 1].hash & (ids->size - 1)) != i)
            {
                return "a chain of ids goes astray";
            }

            next = ids->slots[next - 1].next;
        }
    }

    return (n == ids->n) ? NULL : "an id is in no chain";
}
