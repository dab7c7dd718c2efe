
/*
 * Copyright (C) sync for nginx
 */


#include <sync_settings.h>
#include <sync_name.h>


/*
 * Rules stand in the order of the configuration, and the first that matches
 * is the room's.  There are few of them: they are walked.
 *
 *     rooms    . . . . . . . . . . . . .
 *     rules        [ 1 ]   [    2     ]    default: the rest
 *     "a*"           [--------]            hears rooms of 1, 2 and the rest
 *
 * A subscription to a pattern hears rooms of every rule that overlaps it, up
 * to and with one that covers it whole.  So it goes by the strictest of
 * them; by the first one only, "*" would be a way around any rule.
 */


static ngx_uint_t sync_settings_strictness(sync_rule_t *rule);


sync_str_t  sync_hook_events[SYNC_HOOK_MAX] = {
    sync_string("server"),
    sync_string("connect"),
    sync_string("join"),
    sync_string("leave"),
    sync_string("disconnect"),
    sync_string("api"),
    sync_string("client"),
    sync_string("fanout"),
    sync_string("delivered"),
    sync_string("connected"),
    sync_string("joined"),
    sync_string("left"),
    sync_string("location"),
    sync_string("cancel"),
    sync_string("presence")
};


sync_rule_t *
sync_settings_rule(sync_main_settings_t *main, sync_str_t *room)
{
    sync_str_t    name;
    ngx_uint_t    i, n;
    sync_rule_t  *rule, *found;

    /* the host's own room has no name, and those of tokens no rule */

    if (main->rules == NULL || room->len == 0 || sync_name_is_private(room)) {
        return &main->rule;
    }

    found = NULL;
    rule = main->rules->elts;
    n = main->rules->nelts;

    for (i = 0; i < n; i++) {

        if (sync_name_match(&rule[i].pattern, room)) {
            break;
        }

        if (!sync_name_is_pattern(room)) {
            continue;
        }

        /* a rule for some of the rooms that the pattern matches */

        name = rule[i].pattern;

        if (sync_name_is_pattern(&name)) {
            name.len--;
        }

        if (sync_name_match(room, &name)
            && (found == NULL
                || sync_settings_strictness(&rule[i])
                   > sync_settings_strictness(found)))
        {
            found = &rule[i];
        }
    }

    rule = (i == n) ? &main->rule : &rule[i];

    if (found
        && sync_settings_strictness(found) > sync_settings_strictness(rule))
    {
        return found;
    }

    return rule;
}


static ngx_uint_t
sync_settings_strictness(sync_rule_t *rule)
{
    switch (rule->join) {

    case SYNC_JOIN_PUBLIC:
        return 0;

    case SYNC_JOIN_OPEN:
        return 1;

    case SYNC_JOIN_USER:
        return 2;

    case SYNC_JOIN_HOOK:
        return 3;

    default: /* SYNC_JOIN_DENY */
        return 4;
    }
}
