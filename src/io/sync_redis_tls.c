
/*
 * Copyright (C) sync for nginx
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <sync_redis_tls.h>


#if (NGX_SSL)

#include <openssl/x509v3.h>


#define SYNC_REDIS_TLS_DEPTH  4         /* certificates of a chain */
#define SYNC_REDIS_TLS_POOL   512       /* bytes */


static int sync_redis_tls_go_on(int good, X509_STORE_CTX *store);
static ngx_int_t sync_redis_tls_expect(ngx_connection_t *c,
    sync_redis_conf_t *conf, sync_redis_url_t *url);


ngx_int_t
sync_redis_tls_init(ngx_conf_t *cf, sync_redis_conf_t *conf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    conf->ssl = ssl;

    if (!conf->verify) {
        return NGX_OK;
    }

    if (conf->ca.len) {

        if (ngx_ssl_trusted_certificate(cf, ssl, &conf->ca,
                                        SYNC_REDIS_TLS_DEPTH)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (SSL_CTX_set_default_verify_paths(ssl->ctx) == 0) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    /* what is wrong is looked at after the handshake, as it is worth a word */

    SSL_CTX_set_verify(ssl->ctx, SSL_VERIFY_PEER, sync_redis_tls_go_on);

    return NGX_OK;
}


static int
sync_redis_tls_go_on(int good, X509_STORE_CTX *store)
{
    return 1;
}


ngx_int_t
sync_redis_tls_begin(ngx_connection_t *c, sync_redis_conf_t *conf,
    sync_redis_url_t *url, void (*handler)(ngx_connection_t *c))
{
    ngx_int_t  rc;

    c->pool = ngx_create_pool(SYNC_REDIS_TLS_POOL, c->log);

    if (c->pool == NULL
        || ngx_ssl_create_connection(conf->ssl, c, NGX_SSL_CLIENT) != NGX_OK
        || sync_redis_tls_expect(c, conf, url) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = handler;
    }

    return rc;
}


static ngx_int_t
sync_redis_tls_expect(ngx_connection_t *c, sync_redis_conf_t *conf,
    sync_redis_url_t *url)
{
    const char         *name;
    X509_VERIFY_PARAM  *param;

    name = (const char *) url->server.data;
    param = SSL_get0_param(c->ssl->connection);

    if (url->numeric) {
        return (!conf->verify || X509_VERIFY_PARAM_set1_ip_asc(param, name))
               ? NGX_OK : NGX_ERROR;
    }

    if (SSL_set_tlsext_host_name(c->ssl->connection, name) == 0) {
        return NGX_ERROR;
    }

    return (!conf->verify || X509_VERIFY_PARAM_set1_host(param, name, 0))
           ? NGX_OK : NGX_ERROR;
}


const char *
sync_redis_tls_error(ngx_connection_t *c, sync_redis_conf_t *conf)
{
    X509  *cert;
    long   rc;

    if (c->ssl == NULL || !c->ssl->handshaked) {
        return "TLS handshake failed";
    }

    if (!conf->verify) {
        return NULL;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        return X509_verify_cert_error_string(rc);
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);

    if (cert == NULL) {
        return "no certificate";
    }

    X509_free(cert);

    return NULL;
}


void
sync_redis_tls_close(ngx_connection_t *c)
{
    ngx_pool_t  *pool;

    pool = c->pool;

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = !c->ssl->handshaked;

        (void) ngx_ssl_shutdown(c);
    }

    ngx_close_connection(c);

    if (pool) {
        ngx_destroy_pool(pool);
    }
}


#else


ngx_int_t
sync_redis_tls_init(ngx_conf_t *cf, sync_redis_conf_t *conf)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"rediss://\" in %V:%ui requires nginx with SSL",
                  &conf->file, conf->line);

    return NGX_ERROR;
}


ngx_int_t
sync_redis_tls_begin(ngx_connection_t *c, sync_redis_conf_t *conf,
    sync_redis_url_t *url, void (*handler)(ngx_connection_t *c))
{
    return NGX_ERROR;
}


const char *
sync_redis_tls_error(ngx_connection_t *c, sync_redis_conf_t *conf)
{
    return "no TLS";
}


void
sync_redis_tls_close(ngx_connection_t *c)
{
    ngx_close_connection(c);
}

#endif
