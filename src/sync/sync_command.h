
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_COMMAND_H_INCLUDED_
#define _SYNC_COMMAND_H_INCLUDED_


#include <sync_settings.h>
#include <sync_json.h>
#include <sync_writer.h>


/*
 * What one worker has another one do: an order appended to the host's own
 * room, which all of them read and the one that holds the client obeys.
 */


/*
 * Has the worker that holds the client act on it.  reason is UTF-8, shown
 * to the client, 123 bytes at most.  Returns SYNC_OK, SYNC_DECLINED if there
 * is no such client, or SYNC_BUSY.  While another zone of the host lives, a
 * client that is not known may be there, and the order is passed on.
 */
ngx_int_t sync_command_disconnect(sync_main_settings_t *main,
    const u_char *id, ngx_uint_t code, sync_str_t *reason);
ngx_int_t sync_command_join(sync_main_settings_t *main, const u_char *id,
    sync_str_t *room);
ngx_int_t sync_command_leave(sync_main_settings_t *main, const u_char *id,
    sync_str_t *room);

/*
 * Has all workers close their clients of a user, those of other zones of the
 * host as well.  Returns SYNC_OK or SYNC_BUSY.
 */
ngx_int_t sync_command_disconnect_user(sync_main_settings_t *main,
    sync_str_t *user, ngx_uint_t code, sync_str_t *reason);

/*
 * Ends a text that was said in a room, in this zone and wherever else it is
 * kept, see sync_text.h.
 */
void sync_command_end_text(sync_main_settings_t *main, sync_str_t *room,
    uint64_t id);

/*
 * Acts on a command that one of the above announced; entry is a copy.
 */
void sync_command_obey(sync_entry_t *e);

/* The same for a client of this worker, which may be closed by it. */
void sync_command_do(sync_client_t *c, sync_json_t *command);


/*
 * Writes what a command says after its addressee, and ends it:
 * "op":...,"code":...,key:value}.
 */
void sync_command_write(sync_writer_t *w, const char *op, ngx_uint_t code,
    const char *key, sync_str_t *value);


/*
 * Who obeys what another host, or zone, says of a user: "present" of the
 * command, and the whole of it.  Set once in a worker.
 */
typedef void (*sync_command_present_pt)(sync_json_t *v,
    sync_json_t *command);

extern sync_command_present_pt  sync_command_present;

/* The client with this id if this worker holds it, or NULL. */
sync_client_t *sync_command_lookup(const u_char *id);


#endif /* _SYNC_COMMAND_H_INCLUDED_ */
