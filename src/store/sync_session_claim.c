
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_session_claim.h>
#include <sync_holder.h>


/* Every change is one store, or harmless where only a part of it was made. */


static void sync_session_release_locked(sync_zone_t *z, sync_session_t *s);


ngx_int_t
sync_session_store_claim(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, uint32_t *stamp, uint32_t *answers)
{
    u_char           id[SYNC_ID_LEN];
    ngx_int_t        rc;
    sync_session_t  *s;

    if (z->self == NULL) {
        return SYNC_ERROR;
    }

    sync_token_id(id, token);

    sync_zone_lock(z);

    s = sync_session_store_find_locked(z, realm, id);

    if (s == NULL) {
        s = sync_session_store_make_locked(z, realm, id, token);
    }

    if (s == NULL) {
        sync_zone_unlock(z);
        return SYNC_ERROR;
    }

    s->used = ngx_current_msec;

    *stamp = s->stamp;
    *answers = s->answers;

    if (sync_holder_worker(z, s->asker)) {
        rc = SYNC_AGAIN;

    } else if (s->state == SYNC_SESSION_KNOWN
               && s->value == NULL
               && ngx_current_msec - s->asked < SYNC_SESSION_FRESH)
    {
        rc = SYNC_DECLINED;

    } else {
        s->asker = sync_holder_self(z);
        rc = SYNC_OK;
    }

    sync_zone_unlock(z);

    return rc;
}


ngx_int_t
sync_session_store_asked(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, uint32_t answers)
{
    ngx_int_t        rc;
    sync_session_t  *s;

    sync_zone_lock(z);

    s = sync_session_store_lookup_locked(z, realm, token);

    if (s && s->answers != answers) {
        rc = SYNC_OK;

    } else if (s && sync_holder_worker(z, s->asker)) {
        rc = SYNC_AGAIN;

    } else {
        rc = SYNC_DECLINED;
    }

    sync_zone_unlock(z);

    return rc;
}


void
sync_session_store_answered(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, ngx_msec_t ms)
{
    sync_session_t  *s;

    sync_zone_lock(z);

    s = sync_session_store_lookup_locked(z, realm, token);

    if (s) {

        if (ms) {
            s->due = ngx_current_msec + ms;
            s->asked = ngx_current_msec;
        }

        s->answers++;
        sync_session_release_locked(z, s);
    }

    sync_zone_unlock(z);
}


void
sync_session_store_unclaim(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token)
{
    sync_session_t  *s;

    sync_zone_lock(z);

    s = sync_session_store_lookup_locked(z, realm, token);

    if (s) {
        sync_session_release_locked(z, s);
    }

    sync_zone_unlock(z);
}


static void
sync_session_release_locked(sync_zone_t *z, sync_session_t *s)
{
    if (z->self && s->asker == sync_holder_self(z)) {
        s->asker = 0;
    }
}


void
sync_session_store_renew(sync_zone_t *z, uint32_t realm,
    const sync_str_t *token, ngx_msec_t ms)
{
    sync_session_t  *s;

    sync_zone_lock(z);

    s = sync_session_store_lookup_locked(z, realm, token);

    if (s) {
        s->due = ngx_current_msec + ms;
        s->asked = ngx_current_msec;
    }

    sync_zone_unlock(z);
}
