
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_JSON_H_INCLUDED_
#define _SYNC_JSON_H_INCLUDED_


#include "sync_base.h"
#include "sync_writer.h"


/* bytes in a number that sync_json_double() takes */

#define SYNC_JSON_NUMBER_MAX  128


typedef enum {
    SYNC_JSON_NULL = 0,
    SYNC_JSON_FALSE,
    SYNC_JSON_TRUE,
    SYNC_JSON_NUMBER,
    SYNC_JSON_STRING,
    SYNC_JSON_ARRAY,
    SYNC_JSON_OBJECT
} sync_json_type_e;


/*
 * A value is a span of the text it stands in: nothing is copied, and it
 * lives as long as the text.
 */

typedef struct {
    sync_str_t         raw;     /* without white space around it, with the
                                   quotes of a string */
    sync_json_type_e   type;
} sync_json_t;


/* The type of a valid value that begins with ch. */
sync_json_type_e sync_json_type(u_char ch);


typedef struct {
    const u_char      *pos;
    const u_char      *last;
    sync_uint_t        object;  /* has keys */
} sync_json_iter_t;


/*
 * Checks that a text is one valid JSON value (RFC 8259) in valid UTF-8, not
 * deeper than SYNC_JSON_DEPTH_MAX, with nothing but white space around it.
 *
 * Returns SYNC_OK and sets *v; or SYNC_ERROR and sets *err, unless err is
 * NULL, to the offset in bytes of the first byte that is wrong (text->len
 * if the text ends too early).
 *
 * All other functions expect values that were found by this one, directly or
 * through an iterator.
 */
sync_int_t sync_json_parse(sync_json_t *v, const sync_str_t *text,
    size_t *err);

/*
 * Starts to iterate over an array or object.  Any other value has no
 * elements.
 */
void sync_json_iter_init(sync_json_iter_t *it, const sync_json_t *v);

/*
 * Takes the next element of an array, or the next member of an object in
 * the order of the text, duplicates included.
 *
 * Returns SYNC_OK and sets *v and, for an object, *key, unless key is NULL,
 * to what is between the key's quotes, its escapes left as they are
 * (compare it by sync_json_key_is()); or SYNC_DECLINED at the end; or
 * SYNC_ERROR if the text is not JSON after all.
 */
sync_int_t sync_json_next(sync_json_iter_t *it, sync_str_t *key,
    sync_json_t *v);

/*
 * Whether a key, as sync_json_next() gives it, is the UTF-8 string name.
 */
sync_int_t sync_json_key_is(const sync_str_t *key, const sync_str_t *name);

/*
 * Whether two keys, as sync_json_next() gives them, are the same string.
 */
sync_int_t sync_json_keys_equal(const sync_str_t *k1, const sync_str_t *k2);

/*
 * Finds an object's member by name.  Of duplicates the last one wins, as in
 * JSON.parse().  Takes one pass over the object.
 *
 * Returns SYNC_OK and sets *v; or SYNC_DECLINED if the object has no such
 * member or obj is not an object, *v is untouched then.
 */
sync_int_t sync_json_find(sync_json_t *v, const sync_json_t *obj,
    const sync_str_t *name);

/* the same for a name that is a literal */

#define sync_json_get(v, obj, name)                                           \
    sync_json_find(v, obj, &(sync_str_t) sync_string(name))

/*
 * Copies what a string means, as UTF-8, to dst; a lone surrogate becomes
 * U+FFFD.  The result may hold zero bytes.  dst may be v->raw.data or lie
 * before it, but must not otherwise overlap the string.
 *
 * Returns the length in bytes, at most v->raw.len - 2; SYNC_BUSY if that is
 * above size, dst is spoilt then; or SYNC_ERROR if v is not a string.
 */
ssize_t sync_json_unquote(u_char *dst, size_t size, const sync_json_t *v);

/*
 * Sets *s to what a string means: a span of the text itself if it has no
 * escapes, else of buf, filled as sync_json_unquote() does.
 *
 * Returns SYNC_OK, SYNC_BUSY if the meaning is longer than size, also where
 * buf would not be used, or SYNC_ERROR if v is not a string.
 */
sync_int_t sync_json_string(sync_str_t *s, const sync_json_t *v, u_char *buf,
    size_t size);

/*
 * Returns the length of a string in UTF-16 units, the "length" of
 * JavaScript, or SYNC_ERROR if v is not a string.
 */
ssize_t sync_json_string_units(const sync_json_t *v);

/*
 * Returns the length of a string in code points, or SYNC_ERROR if v is not a
 * string.
 */
ssize_t sync_json_string_points(const sync_json_t *v);

/*
 * Takes a number whose value is an integer, however it is written (7, 7.0,
 * 70e-1).
 *
 * Returns SYNC_OK and sets *n; SYNC_DECLINED if the number is no integer or
 * does not fit in *n; or SYNC_ERROR if v is not a number.
 */
sync_int_t sync_json_int64(int64_t *n, const sync_json_t *v);

/*
 * Takes any number.
 *
 * Returns SYNC_OK and sets *d to the nearest double, which may be 0;
 * SYNC_DECLINED if the number is too large for a double or longer than
 * SYNC_JSON_NUMBER_MAX; or SYNC_ERROR if v is not a number.
 */
sync_int_t sync_json_double(double *d, const sync_json_t *v);

/*
 * Whether two values are equal as "===" has it: strings by what they mean,
 * numbers by value, and no array or object is equal to another.
 */
sync_int_t sync_json_equal(const sync_json_t *v1, const sync_json_t *v2);

/*
 * Returns the first byte in [p, last) that is not ASCII or may not stand in
 * a string as it is: a quote, a backslash or a control character; or last.
 */
const u_char *sync_json_skip_plain(const u_char *p, const u_char *last);

/*
 * Appends a string in quotes.  Escapes what JSON requires; any other valid
 * UTF-8 stays as it is, what is not valid becomes U+FFFD.
 */
void sync_json_write_string(sync_writer_t *w, const u_char *p, size_t len);

/*
 * The same without the quotes, for a string that is made of pieces.  A
 * piece must not end inside a character.
 */
void sync_json_write_escaped(sync_writer_t *w, const u_char *p, size_t len);

#define sync_json_write_str(w, s)                                             \
    sync_json_write_string(w, (s)->data, (s)->len)


#endif /* _SYNC_JSON_H_INCLUDED_ */
