
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>
#include <sync_conflate.h>
#include <sync_ws.h>


typedef struct {
    ngx_rbtree_node_t      node;        /* by key, 0: in no tree */
    ngx_queue_t            queue;
    sync_audience_t       *audience;
    sync_run_t            *run;
    uint32_t               pos;         /* bytes, in run->data */
    uint32_t               last;
} sync_held_t;


/* Of a client, while something is held for it. */

struct sync_conflate_s {
    ngx_rbtree_t           tree;
    ngx_rbtree_node_t      sentinel;
    ngx_queue_t            queue;       /* of sync_held_t, oldest first */
    size_t                 size;        /* bytes, with what it takes to hold */
};


static sync_conflate_t *sync_conflate_get(sync_client_t *c);
static sync_held_t *sync_conflate_find(sync_conflate_t *cf,
    sync_audience_t *a, uint64_t key);
static void sync_conflate_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static sync_run_t *sync_conflate_run(sync_run_t *run, uint32_t *pos,
    uint32_t *last);
static void sync_conflate_drop(sync_conflate_t *cf, sync_held_t *h);
static void sync_conflate_free(sync_resume_t *rs);


ngx_uint_t
sync_conflate_holds(sync_client_t *c)
{
    sync_resume_t  *rs;

    rs = c->resume;

    if (rs && rs->held) {
        return 1;
    }

    return sync_client_lags(c, ngx_min(SYNC_CONFLATE_QUEUE,
                                       c->conf->queue / 2));
}


ngx_int_t
sync_conflate_hold(sync_audience_t *a, sync_batch_t *b, sync_client_t *c,
    sync_run_t *run, uint32_t from, uint32_t to)
{
    uint32_t       i;
    ngx_int_t      rc;
    sync_entry_t  *e;

    e = (sync_entry_t *) b->entries;

    for (i = 0; i < to; i++, e = sync_entry_next(e)) {

        if (i < from) {
            continue;
        }

        rc = sync_conflate_hold_one(a, c, e, run, i ? run->ends[i - 1] : 0,
                                    run->ends[i]);

        if (rc != SYNC_OK) {
            return rc;
        }
    }

    return SYNC_OK;
}


ngx_int_t
sync_conflate_hold_one(sync_audience_t *a, sync_client_t *c, sync_entry_t *e,
    sync_run_t *run, uint32_t pos, uint32_t last)
{
    uint64_t          key;
    sync_held_t      *h;
    sync_conflate_t  *cf;

    cf = sync_conflate_get(c);

    if (cf == NULL) {
        return SYNC_ERROR;
    }

    key = sync_entry_key(e);

    if (key) {
        h = sync_conflate_find(cf, a, key);

        if (h) {
            sync_conflate_drop(cf, h);
            sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_CONFLATED, 1);
        }
    }

    if (c->queued + cf->size + sizeof(sync_held_t) + last - pos
        > c->conf->queue)
    {
        return SYNC_BUSY;
    }

    run = sync_conflate_run(run, &pos, &last);

    if (run == NULL) {
        return SYNC_ERROR;
    }

    h = ngx_alloc(sizeof(sync_held_t), ngx_cycle->log);

    if (h == NULL) {
        sync_run_unref(run);
        return SYNC_ERROR;
    }

    h->node.key = (ngx_rbtree_key_t) key;
    h->audience = a;
    h->run = run;
    h->pos = pos;
    h->last = last;

    if (key) {
        ngx_rbtree_insert(&cf->tree, &h->node);
    }

    ngx_queue_insert_tail(&cf->queue, &h->queue);
    cf->size += sizeof(sync_held_t) + last - pos;

    return SYNC_OK;
}


static sync_conflate_t *
sync_conflate_get(sync_client_t *c)
{
    sync_resume_t    *rs;
    sync_conflate_t  *cf;

    rs = sync_fanout_resume(c);

    if (rs == NULL || rs->held) {
        return rs ? rs->held : NULL;
    }

    cf = ngx_alloc(sizeof(sync_conflate_t), ngx_cycle->log);
    if (cf == NULL) {
        return NULL;
    }

    ngx_rbtree_init(&cf->tree, &cf->sentinel, sync_conflate_insert);
    ngx_queue_init(&cf->queue);
    cf->size = 0;

    rs->held = cf;
    c->behind = 1;

    return cf;
}


static sync_held_t *
sync_conflate_find(sync_conflate_t *cf, sync_audience_t *a, uint64_t key)
{
    sync_held_t        *h;
    ngx_rbtree_node_t  *node;

    node = cf->tree.root;

    while (node != cf->tree.sentinel) {
        h = (sync_held_t *) node;

        if (key == node->key && a == h->audience) {
            return h;
        }

        node = (key < node->key
                || (key == node->key && a < h->audience))
               ? node->left : node->right;
    }

    return NULL;
}


static void
sync_conflate_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t  **p;

    for ( ;; ) {

        p = (node->key < temp->key
             || (node->key == temp->key
                 && ((sync_held_t *) node)->audience
                    < ((sync_held_t *) temp)->audience))
            ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


/* A run of many messages would be kept for the sake of one of them. */

static sync_run_t *
sync_conflate_run(sync_run_t *run, uint32_t *pos, uint32_t *last)
{
    sync_run_t  *copy;

    if (run->n == 1) {
        sync_run_ref(run);
        return run;
    }

    copy = sync_run_create(*last - *pos);
    if (copy == NULL) {
        return NULL;
    }

    ngx_memcpy(copy->data, run->data + *pos, *last - *pos);

    *last -= *pos;
    *pos = 0;

    copy->n = 1;
    copy->ends[0] = *last;

    return copy;
}


void
sync_conflate_release(sync_client_t *c)
{
    ngx_int_t         rc;
    sync_held_t      *h;
    sync_resume_t    *rs;
    sync_conflate_t  *cf;

    rs = c->resume;

    if (rs == NULL || rs->held == NULL) {
        return;
    }

    cf = rs->held;
    rc = SYNC_OK;

    while (rc == SYNC_OK && !ngx_queue_empty(&cf->queue)) {
        h = ngx_queue_data(ngx_queue_head(&cf->queue), sync_held_t, queue);

        rc = sync_client_queue_part(c, h->run, h->pos, h->last);

        if (rc == SYNC_OK) {
            sync_zone_count(sync_fanout_worker.zone, SYNC_COUNT_DELIVERED, 1);
            sync_zone_count(sync_fanout_worker.zone,
                            SYNC_COUNT_DELIVERED_BYTES, h->last - h->pos);
        }

        sync_conflate_drop(cf, h);
    }

    sync_conflate_free(rs);

    if (rc != SYNC_OK) {
        sync_client_close(c, SYNC_WS_CODE_INTERNAL, "no memory");
    }
}


static void
sync_conflate_drop(sync_conflate_t *cf, sync_held_t *h)
{
    if (h->node.key) {
        ngx_rbtree_delete(&cf->tree, &h->node);
    }

    ngx_queue_remove(&h->queue);
    cf->size -= sizeof(sync_held_t) + h->last - h->pos;

    sync_run_unref(h->run);
    ngx_free(h);
}


static void
sync_conflate_free(sync_resume_t *rs)
{
    ngx_free(rs->held);
    rs->held = NULL;
}


void
sync_conflate_forget(sync_client_t *c, sync_audience_t *a)
{
    sync_held_t      *h;
    ngx_queue_t      *q, *next;
    sync_resume_t    *rs;
    sync_conflate_t  *cf;

    rs = c->resume;

    if (rs == NULL || rs->held == NULL) {
        return;
    }

    cf = rs->held;

    for (q = ngx_queue_head(&cf->queue);
         q != ngx_queue_sentinel(&cf->queue);
         q = next)
    {
        next = ngx_queue_next(q);
        h = ngx_queue_data(q, sync_held_t, queue);

        if (a == NULL || a == h->audience) {
            sync_conflate_drop(cf, h);
        }
    }

    if (ngx_queue_empty(&cf->queue)) {
        sync_conflate_free(rs);
    }
}


uint64_t
sync_conflate_key(sync_str_t *event, sync_str_t *key)
{
    uint64_t    n;
    ngx_sha1_t  sha1;
    u_char      len[4], hash[20];

    /* two texts that stand one behind the other are not a third one */

    len[0] = (u_char) (event->len >> 24);
    len[1] = (u_char) (event->len >> 16);
    len[2] = (u_char) (event->len >> 8);
    len[3] = (u_char) event->len;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, len, sizeof(len));
    ngx_sha1_update(&sha1, event->data, event->len);
    ngx_sha1_update(&sha1, key->data, key->len);
    ngx_sha1_final(hash, &sha1);

    n = 0;
    ngx_memcpy(&n, hash, 6);

    return (n ? n : 1) | SYNC_LOG_KEYED;
}
