
/*
 * Copyright (C) sync for nginx
 */


#include "fuzz.h"

#include "sync_schema.h"


/*
 * A value against schemas that lead to one another, chosen by the first byte.
 */


#define SCHEMAS  16


static void make(sync_schema_t *s, unsigned how);
static sync_int_t match(void *regex, const sync_str_t *s);
static void check_formats(const sync_str_t *s);


static sync_schema_property_t  properties[SCHEMAS][3];
static sync_schema_pattern_t   patterns[SCHEMAS];
static sync_schema_t          *lists[SCHEMAS][3];
static sync_json_t             values[3];
static u_char                  buf[SYNC_SCHEMA_TEXT_MAX];


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               i, n;
    u_char              *p;
    sync_int_t           rc;
    sync_str_t           text, path;
    sync_json_t          v;
    sync_schema_t        s[SCHEMAS];
    sync_schema_fault_t  fault;
    static char          quoted[SYNC_SCHEMA_PATH_MAX + 2];

    if (size == 0) {
        return 0;
    }

    p = fuzz_copy(data + 1, size - 1);

    text.data = p;
    text.len = size - 1;

    check_formats(&text);

    if (sync_json_parse(&v, &text, NULL) == SYNC_OK) {
        make(s, data[0]);

        for (i = 0; i < SCHEMAS; i++) {
            rc = sync_schema_check(&s[i], &v, match, buf, &fault);

            fuzz_check(rc == SYNC_OK || rc == SYNC_DECLINED);

            if (rc == SYNC_OK) {
                continue;
            }

            fuzz_check(fault.keyword[0] != '\0');

            /* the path may stand in JSON as it is */

            n = fault.len;
            fuzz_check(n <= SYNC_SCHEMA_PATH_MAX);

            quoted[0] = '"';
            memcpy(quoted + 1, fault.path, n);
            quoted[n + 1] = '"';

            path.data = (u_char *) quoted;
            path.len = n + 2;

            fuzz_check(sync_json_parse(&v, &path, NULL) == SYNC_OK);

            (void) sync_json_parse(&v, &text, NULL);
        }
    }

    free(p);

    return 0;
}


static void
make(sync_schema_t *s, unsigned how)
{
    unsigned  i, k;

    static const sync_str_t  names[] = {
        sync_string("a"), sync_string("b"), sync_string("q\"\xc3\xa9")
    };

    static sync_str_t  texts[] = {
        sync_string("{\"a\":[1]}"), sync_string("[1,\"b\",{}]"),
        sync_string("0.0")
    };

    static const sync_str_t  formats[] = {
        sync_string("email"), sync_string("date-time"), sync_string("uri"),
        sync_string("ipv6")
    };

    for (i = 0; i < 3; i++) {
        (void) sync_json_parse(&values[i], &texts[i], NULL);
    }

    for (i = 0; i < SCHEMAS; i++) {
        sync_schema_init(&s[i]);

        for (k = 0; k < 3; k++) {
            properties[i][k].name = names[k];
            properties[i][k].schema = &s[(i + how + k) % SCHEMAS];
            properties[i][k].required = (how >> k) & 1;
            lists[i][k] = &s[(i * 3 + k + how) % SCHEMAS];
        }

        patterns[i].regex = "x";
        patterns[i].schema = &s[(i + 7) % SCHEMAS];
    }

    for (i = 0; i < SCHEMAS; i++) {
        k = (i + how) % SCHEMAS;

        s[i].types = (i % 3 == 0) ? how & 0x7f : 0;

        switch (k) {

        case 0:
        case 1:
            s[i].properties = properties[i];
            s[i].nproperties = 3;
            s[i].additional = k ? &s[(i + 1) % SCHEMAS] : NULL;
            break;

        case 2:
        case 3:
        case 4:
        case 5:
            s[i].lists[k - 2].schemas = lists[i];
            s[i].lists[k - 2].n = 3;
            break;

        case 6:
            s[i].not = &s[(i + 3) % SCHEMAS];
            break;

        case 7:
            s[i].ref = &s[(i + 5) % SCHEMAS];
            break;

        case 8:
            s[i].has_values = 1;
            s[i].values = values;
            s[i].nvalues = 3;
            break;

        case 9:
            s[i].unique = 1;
            s[i].items = &s[(i + 1) % SCHEMAS];
            break;

        case 10:
            s[i].patterns = &patterns[i];
            s[i].npatterns = 1;
            s[i].names = &s[(i + 2) % SCHEMAS];
            break;

        case 11:
            s[i].regex = "y";
            break;

        case 12:
            s[i].format = sync_schema_format(&formats[how % 4]);
            break;

        case 13:
            s[i].has_bounds = how & 0x1f;
            s[i].bounds[SYNC_SCHEMA_MULTIPLE_OF] = 0.5;
            break;

        case 14:
            s[i].sizes[how % SYNC_SCHEMA_SIZES] = 2;
            break;

        default:
            s[i].never = how & 1;
        }
    }
}


static sync_int_t
match(void *regex, const sync_str_t *s)
{
    return s->len > 0 && memchr(s->data, *(char *) regex, s->len) != NULL;
}


static void
check_formats(const sync_str_t *s)
{
    size_t                 i;
    sync_int_t             rc;
    sync_schema_format_pt  format;

    static const sync_str_t  names[] = {
        sync_string("date-time"), sync_string("date"), sync_string("time"),
        sync_string("email"), sync_string("uuid"), sync_string("uri"),
        sync_string("ipv4"), sync_string("ipv6"), sync_string("hostname")
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        format = sync_schema_format(&names[i]);

        fuzz_check(format != NULL);

        rc = format(s);

        fuzz_check(rc == 0 || rc == 1);
    }
}
