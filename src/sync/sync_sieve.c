
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_sieve.h>
#include <sync_session.h>


static void sync_sieve_prepare(sync_sieve_t *sv, sync_settings_t *s);


sync_sieve_t *
sync_sieve_create(sync_entry_t *e)
{
    sync_sieve_t  *sv;

    sv = ngx_alloc(sizeof(sync_sieve_t), ngx_cycle->log);
    if (sv == NULL) {
        return NULL;
    }

    sv->settings = NULL;
    sv->never = (sync_extra_read(&sv->extra, e) != SYNC_OK);

    return sv;
}


ngx_uint_t
sync_sieve_passes(sync_sieve_t *sv, sync_client_t *c, sync_str_t *session)
{
    if (sv->never) {
        return 0;
    }

    if (sv->settings != sync_settings(c)) {
        sync_sieve_prepare(sv, sync_settings(c));
    }

    return sv->filter
           && sync_filter_matches(sv->filter, &sv->side, session);
}


void
sync_sieve_session(sync_str_t *session, sync_client_t *c)
{
    if (sync_session_get(c, session) != SYNC_OK) {
        session->len = 0;
        session->data = NULL;
    }
}


static void
sync_sieve_prepare(sync_sieve_t *sv, sync_settings_t *s)
{
    sync_str_t     texts[SYNC_FILTER_SOURCES];
    sync_route_t  *rt;

    sv->settings = s;
    sv->filter = NULL;

    rt = sync_route_lookup(s, &sv->extra.route);

    /* the sender's location has a filter: one that has none says nothing */

    if (rt == NULL || rt->filter == NULL) {
        return;
    }

    ngx_memzero(texts, sizeof(texts));

    texts[SYNC_FILTER_SENDER] = sv->extra.sender;
    texts[SYNC_FILTER_DATA] = sv->extra.data;
    texts[SYNC_FILTER_SERVER] = sv->extra.output;

    if (sync_filter_prepare(&sv->side, rt->filter, texts) == SYNC_OK) {
        sv->filter = rt->filter;
    }
}
