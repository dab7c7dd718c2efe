
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_receipt.h>


/*
 *     number: 56 random bits, 8 bits of the place in receipts[]
 *     in front of an extra: host 8, number 8, little-endian
 */


#define sync_receipt_row(z, number)                                           \
    (&(z)->sh->receipts[(number) & (SYNC_RECEIPTS_MAX - 1)])


uint64_t
sync_receipt_begin(sync_zone_t *z, uint64_t random)
{
    uint64_t         number;
    ngx_uint_t       i;
    sync_receipt_t  *r;

    number = 0;

    sync_zone_lock(z);

    for (i = 0; i < SYNC_RECEIPTS_MAX; i++) {
        r = &z->sh->receipts[(random + i) & (SYNC_RECEIPTS_MAX - 1)];

        if (r->number) {
            continue;
        }

        number = (random | SYNC_RECEIPTS_MAX) & ~(SYNC_RECEIPTS_MAX - 1);
        number |= r - z->sh->receipts;

        r->clients = 0;
        r->waits = 0;
        r->open = 1;
        r->slot = (uint16_t) sync_worker_slot(z, z->self);
        sync_heap_order();

        r->number = number;
        break;
    }

    sync_zone_unlock(z);

    return number;
}


void
sync_receipt_write(u_char *p, uint64_t host, uint64_t number)
{
    ngx_uint_t  i;

    for (i = 0; i < 8; i++) {
        p[i] = (u_char) (host >> 8 * i);
        p[8 + i] = (u_char) (number >> 8 * i);
    }
}


void
sync_receipt_read(const u_char *p, uint64_t *host, uint64_t *number)
{
    ngx_uint_t  i;

    *host = 0;
    *number = 0;

    for (i = 8; i; i--) {
        *host = *host << 8 | p[i - 1];
        *number = *number << 8 | p[8 + i - 1];
    }
}


void
sync_receipt_expect_locked(sync_zone_t *z, sync_message_t *m, ngx_uint_t n)
{
    uint64_t         host, number;
    sync_receipt_t  *r;

    if (!(m->flags & SYNC_RECEIPT) || m->extra.len < SYNC_RECEIPT_EXTRA) {
        return;
    }

    sync_receipt_read(m->extra.data, &host, &number);

    r = sync_receipt_row(z, number);

    if (host == z->sh->id && r->number == number) {
        r->waits += (uint16_t) n;
        r->open = 0;
    }
}


void
sync_receipt_put(sync_zone_t *z, uint64_t number, ngx_uint_t n,
    ngx_uint_t late, sync_wake_set_t *wake)
{
    sync_receipt_t  *r;

    sync_zone_lock(z);

    r = sync_receipt_row(z, number);

    if (number && r->number == number) {
        r->clients += (uint32_t) n;

        if (!late && r->waits && --r->waits == 0) {
            sync_worker_mark_locked(z, r->slot, wake);
        }
    }

    sync_zone_unlock(z);
}


ngx_int_t
sync_receipt_end(sync_zone_t *z, uint64_t number, ngx_uint_t force,
    ngx_uint_t *clients)
{
    ngx_int_t        rc;
    sync_receipt_t  *r;

    sync_zone_lock(z);

    r = sync_receipt_row(z, number);

    if (r->number != number) {
        rc = SYNC_DECLINED;

    } else if (!force && (r->open || r->waits)) {
        rc = SYNC_AGAIN;

    } else {
        *clients = r->clients;
        r->number = 0;
        rc = SYNC_OK;
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_uint_t
sync_receipt_waits(sync_zone_t *z, uint64_t number)
{
    sync_receipt_t  *r;

    r = sync_receipt_row(z, number);

    return r->number == number && (r->open || r->waits);
}


ngx_uint_t
sync_receipt_count(sync_zone_t *z)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < SYNC_RECEIPTS_MAX; i++) {
        n += (z->sh->receipts[i].number != 0);
    }

    return n;
}


void
sync_receipt_reap_locked(sync_zone_t *z, ngx_uint_t slot)
{
    ngx_uint_t  i;

    for (i = 0; i < SYNC_RECEIPTS_MAX; i++) {
        if (z->sh->receipts[i].slot == slot) {
            z->sh->receipts[i].number = 0;
        }
    }
}
