
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_ROUTE_H_INCLUDED_
#define _SYNC_ROUTE_H_INCLUDED_


#include <sync_settings.h>
#include <sync_condition.h>
#include <sync_filter.h>
#include <sync_schema.h>


/*
 * What the app says of its routes: a manifest, a JSON file of the
 * configuration.
 *
 *     nginx -t, reload:  file --> jansson: is it JSON --> routes, compiled
 *     a request:         name --> hash --> route, or none: notFound
 *
 * Routes live as long as the configuration and are never written to.  What
 * stands in them are spans of the file's text, kept with it.
 */


#define SYNC_ROUTE_FILE_MAX    (16 * 1024 * 1024)   /* bytes */
#define SYNC_ROUTE_RATE_UNSET  ((ngx_uint_t) -1)


typedef enum {
    SYNC_ROUTE_METHOD_UNSET = 0,    /* inferred from the name */
    SYNC_ROUTE_GET,
    SYNC_ROUTE_POST,
    SYNC_ROUTE_PUT,
    SYNC_ROUTE_DELETE
} sync_route_method_e;


/* "throttle": how chunks of a stream are put together; every 0: they aren't */

typedef struct {
    ngx_msec_t            every;        /* ms */
    ngx_uint_t            chars;        /* UTF-16 units */
    sync_str_t            field;        /* of the chunk's object */
} sync_route_throttle_t;


struct sync_route_s {
    sync_route_t         *next;         /* of its bucket */
    sync_str_t            name;         /* sync/board/moveCard/v1 */
    ngx_uint_t            hash;

    sync_condition_t     *additional;
    ngx_uint_t            nadditional;
    ngx_uint_t            rate;         /* a minute; 0: no limit; or UNSET */
    sync_schema_t        *schema;       /* NULL: any data */
    sync_filter_t        *filter;       /* NULL: everybody in the room */
    ngx_str_t             uri;          /* len 0: that of sync_hook */
    sync_str_t            key;          /* of conflation, len 0: none */
    sync_route_throttle_t throttle;
    sync_route_method_e   method;       /* of an HTTP call of an api */

    unsigned              login:1;
    unsigned              server:1;     /* the hook is asked */
    unsigned              client:1;     /* the client hook is asked */
    unsigned              fleeting:1;   /* "volatile" */
};


/*
 * Reads sync_routes' file, whose name is absolute, at configuration time.
 * What is wrong is logged with the file's line.  Returns NULL then.
 */
sync_manifest_t *sync_route_load(ngx_conf_t *cf, ngx_str_t *file);

/* Makes an empty manifest, and adds a route to one; NULL if no memory. */
sync_manifest_t *sync_route_create(ngx_pool_t *pool, ngx_uint_t n);

/*
 * Adds a route whose name is set.  Returns SYNC_OK, or SYNC_DECLINED if it
 * is there already.
 */
ngx_int_t sync_route_add(sync_manifest_t *m, sync_route_t *route);

/*
 * Finds a route by its name in full, in its one form.  With no manifest each
 * name is a route that allows everything, has a server part and a client's.
 * Returns NULL if there is a manifest, and the route is not in it.
 */
sync_route_t *sync_route_lookup(sync_settings_t *s, sync_str_t *full);


#endif /* _SYNC_ROUTE_H_INCLUDED_ */
