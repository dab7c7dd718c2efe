
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <sync_redis_hello.h>


static ngx_int_t sync_redis_hello_add(sync_redis_hello_t *h,
    sync_redis_greeting_e greeting, ngx_uint_t argc, const char **argv,
    const size_t *argvlen);


ngx_int_t
sync_redis_hello_write(sync_redis_hello_t *h, sync_redis_url_t *url,
    const char *role)
{
    u_char      *p;
    ngx_int_t    rc;
    const char  *argv[3];
    size_t       argvlen[3];
    u_char       text[NGX_INT_T_LEN];
    u_char       name[sizeof("sync--subscriber") + NGX_INT_T_LEN];

    h->n = 0;
    rc = SYNC_OK;

    if (url->password.len) {
        argv[0] = "AUTH";
        argvlen[0] = 4;
        argv[1] = (char *) url->user.data;
        argvlen[1] = url->user.len;
        argv[url->user.len ? 2 : 1] = (char *) url->password.data;
        argvlen[url->user.len ? 2 : 1] = url->password.len;

        rc = sync_redis_hello_add(h, SYNC_REDIS_AUTH, url->user.len ? 3 : 2,
                                  argv, argvlen);
    }

    if (rc == SYNC_OK && url->db) {
        argv[0] = "SELECT";
        argvlen[0] = 6;
        argv[1] = (char *) text;
        argvlen[1] = ngx_sprintf(text, "%ui", url->db) - text;

        rc = sync_redis_hello_add(h, SYNC_REDIS_SELECT, 2, argv, argvlen);
    }

    if (rc == SYNC_OK) {
        p = ngx_snprintf(name, sizeof(name), "sync-%s-%P", role, ngx_pid);

        argv[0] = "CLIENT";
        argvlen[0] = 6;
        argv[1] = "SETNAME";
        argvlen[1] = 7;
        argv[2] = (char *) name;
        argvlen[2] = p - name;

        rc = sync_redis_hello_add(h, SYNC_REDIS_NAME, 3, argv, argvlen);
    }

    if (rc == SYNC_OK) {
        argv[0] = "PING";
        argvlen[0] = 4;

        rc = sync_redis_hello_add(h, SYNC_REDIS_ASK, 1, argv, argvlen);
    }

    return rc;
}


static ngx_int_t
sync_redis_hello_add(sync_redis_hello_t *h, sync_redis_greeting_e greeting,
    ngx_uint_t argc, const char **argv, const size_t *argvlen)
{
    size_t  size;

    h->greetings[h->n++] = greeting;

    return sync_redis_buf_command(&h->buf, argc, argv, argvlen, &size);
}
