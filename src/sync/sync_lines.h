
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_LINES_H_INCLUDED_
#define _SYNC_LINES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_json.h>
#include <sync_ndjson.h>


/*
 * A streamed answer, taken line by line as it comes; one that has to wait is
 * kept with what is behind it.
 */


#define SYNC_DONE  1

/*
 * A line, an object or not, borrowed for the time of the call.  Returns
 * SYNC_OK; SYNC_AGAIN to have no more read after the lines that are there
 * already; SYNC_BUSY to be called with this very line again, by
 * sync_lines_again(); SYNC_DONE if it is the last; or SYNC_ERROR if it makes
 * the whole answer invalid.
 */
typedef ngx_int_t (*sync_lines_pt)(void *data, sync_json_t *line);


typedef struct {
    sync_ndjson_t    ndjson;
    sync_lines_pt    handler;
    void            *data;
    ngx_uint_t       n;         /* the number of the current one */
    const char      *fault;     /* why it is no line, or NULL */
    u_char          *buf;       /* of one that came in pieces */
    sync_str_t       rest;      /* lines that wait */
    u_char          *kept;      /* what they stand in */
    size_t           size;      /* bytes of that */
} sync_lines_t;


/* Of up to max bytes each.  What is allocated is freed by done. */
void sync_lines_init(sync_lines_t *l, size_t max, sync_lines_pt handler,
    void *data);
void sync_lines_done(sync_lines_t *l);

/*
 * The lines that end in this piece; all of them, also if one has it held,
 * unless one has to wait.
 *
 * Returns SYNC_OK; SYNC_AGAIN if it is held; SYNC_DONE or SYNC_ERROR as the
 * handler did, or if it is no line; or SYNC_DECLINED (memory).
 */
ngx_int_t sync_lines_read(sync_lines_t *l, u_char *p, size_t len);

/* What has waited; the same. */
ngx_int_t sync_lines_again(sync_lines_t *l);

/*
 * The last one, at the end of the stream, if it lacks its LF.  SYNC_OK means
 * that there is none, or that it was not the last.
 */
ngx_int_t sync_lines_end(sync_lines_t *l);

#define sync_lines_wait(l)  ((l)->rest.len != 0)


#endif /* _SYNC_LINES_H_INCLUDED_ */
