
/*
 * Copyright (C) sync for nginx
 */


#ifndef _UNIT_H_INCLUDED_
#define _UNIT_H_INCLUDED_


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>


/*
 * Unit tests speak TAP.  A test is one call of ok(), is_int(), is_mem() or
 * is_str(); main() ends with "return unit_done()", which prints the plan.
 */

#define UNIT_GUARDS      16
#define UNIT_GUARD_SIZE  (256 * 1024)


static int     unit_tests;
static int     unit_failed;

static u_char *unit_guards[UNIT_GUARDS];
static int     unit_guard_next;


#define unit_unused  __attribute__((unused))

#define ok(cond, name)                                                        \
    unit_ok((cond) ? 1 : 0, __FILE__, __LINE__, name)

#define is_int(got, want, name)                                               \
    unit_is_int((long long) (got), (long long) (want), __FILE__, __LINE__,    \
                name)

#define is_mem(got, len, want, want_len, name)                                \
    unit_is_mem(got, len, want, want_len, __FILE__, __LINE__, name)

/* compares a sync_str_t or ngx_str_t to a C string */

#define is_str(s, want, name)                                                 \
    unit_is_mem((s)->data, (s)->len, want, strlen(want), __FILE__, __LINE__,  \
                name)

#define unit_count(a)  (sizeof(a) / sizeof((a)[0]))


unit_unused static int
unit_ok(int cond, const char *file, int line, const char *name)
{
    unit_tests++;

    printf("%sok %d - %s\n", cond ? "" : "not ", unit_tests, name);

    if (!cond) {
        unit_failed++;
        printf("# failed at %s line %d\n", file, line);
    }

    return cond;
}


unit_unused static int
unit_is_int(long long got, long long want, const char *file, int line,
    const char *name)
{
    if (!unit_ok(got == want, file, line, name)) {
        printf("#      got: %lld\n# expected: %lld\n", got, want);
        return 0;
    }

    return 1;
}


unit_unused static void
unit_dump(const char *what, const void *p, size_t len)
{
    size_t         i;
    const u_char  *s;

    s = p;

    printf("# %s: %lu bytes \"", what, (unsigned long) len);

    for (i = 0; i < len && i < 256; i++) {

        if (s[i] < 0x20 || s[i] > 0x7e) {
            printf("\\x%02x", s[i]);

        } else {
            putchar(s[i]);
        }
    }

    printf("\"\n");
}


unit_unused static int
unit_is_mem(const void *got, size_t len, const void *want, size_t want_len,
    const char *file, int line, const char *name)
{
    int  same;

    same = (len == want_len && (len == 0 || memcmp(got, want, len) == 0));

    if (!unit_ok(same, file, line, name)) {
        unit_dump("     got", got, len);
        unit_dump("expected", want, want_len);
        return 0;
    }

    return 1;
}


/*
 * Returns a writable copy of p[len], up to UNIT_GUARD_SIZE bytes, whose end
 * is the end of what is mapped: to read or write one byte more is a crash.
 * The last UNIT_GUARDS copies are good.  If p is NULL, the bytes are 0xa5.
 */
unit_unused static u_char *
unit_guard(const void *p, size_t len)
{
    size_t   page;
    u_char  *area, *start;

    if (len > UNIT_GUARD_SIZE) {
        printf("Bail out! unit_guard() of %lu bytes\n", (unsigned long) len);
        exit(2);
    }

    page = sysconf(_SC_PAGESIZE);
    area = unit_guards[unit_guard_next];

    if (area == NULL) {
        area = mmap(NULL, UNIT_GUARD_SIZE + page, PROT_READ|PROT_WRITE,
                    MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

        if (area == MAP_FAILED
            || mprotect(area + UNIT_GUARD_SIZE, page, PROT_NONE) == -1)
        {
            printf("Bail out! mmap() failed\n");
            exit(2);
        }

        unit_guards[unit_guard_next] = area;
    }

    unit_guard_next = (unit_guard_next + 1) % UNIT_GUARDS;

    start = area + UNIT_GUARD_SIZE - len;

    if (p == NULL) {
        memset(start, 0xa5, len);

    } else if (len) {
        memcpy(start, p, len);
    }

    return start;
}


unit_unused static int
unit_done(void)
{
    printf("1..%d\n", unit_tests);

    if (unit_failed) {
        printf("# %d of %d failed\n", unit_failed, unit_tests);
    }

    return unit_failed ? 1 : 0;
}


#endif /* _UNIT_H_INCLUDED_ */
