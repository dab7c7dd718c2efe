
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_error.h>
#include <sync_name.h>


static ngx_uint_t sync_error_params_valid(sync_json_t *params);


void
sync_error_read(sync_error_t *e, sync_json_t *v)
{
    int64_t      n;
    sync_json_t  field;

    e->code.len = 0;
    e->code.data = (u_char *) "";
    e->params.len = 0;

    if (sync_json_get(&field, v, "errorCode") == SYNC_OK
        && sync_json_string(&e->code, &field, e->buf, SYNC_ERROR_CODE_MAX)
           == SYNC_OK)
    {
        sync_name_trim(&e->code);

    } else {
        e->code.len = 0;
    }

    if (sync_json_get(&field, v, "errorParams") == SYNC_OK
        && sync_error_params_valid(&field))
    {
        e->params = field.raw;
    }

    if (sync_json_get(&field, v, "httpStatus") == SYNC_OK
        && sync_json_int64(&n, &field) == SYNC_OK
        && n >= 100 && n <= 999)
    {
        e->status = n;
    }
}


/* An array of {key: string, value: string|number|boolean}, every item. */

static ngx_uint_t
sync_error_params_valid(sync_json_t *params)
{
    sync_json_t       item, v;
    sync_json_iter_t  it;

    if (params->type != SYNC_JSON_ARRAY) {
        return 0;
    }

    sync_json_iter_init(&it, params);

    while (sync_json_next(&it, NULL, &item) == SYNC_OK) {

        if (sync_json_get(&v, &item, "key") != SYNC_OK
            || v.type != SYNC_JSON_STRING
            || sync_json_get(&v, &item, "value") != SYNC_OK
            || v.type == SYNC_JSON_NULL
            || v.type == SYNC_JSON_ARRAY
            || v.type == SYNC_JSON_OBJECT)
        {
            return 0;
        }
    }

    return 1;
}
