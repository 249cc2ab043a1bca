/*
 * Small heap objects that always succeed.
 *
 * A daemon cannot do anything sensible when 200 bytes are missing, and code that pretends to is
 * never tested. So these functions abort instead. Everything whose size comes from a client, a file
 * or a peer is compared with a named limit first and fails there with an error.
 */

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
nd_calloc(size_t count, size_t size)
{
    void *ptr = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

    ND_INVARIANT(ptr != NULL);
    return ptr;
}

void *
nd_realloc(void *ptr, size_t count, size_t size)
{
    void *grown;

    grown = reallocarray(ptr, count > 0 ? count : 1, size > 0 ? size : 1);
    ND_INVARIANT(grown != NULL);
    return grown;
}

void
nd_free(void *ptr)
{
    free(ptr);
}

void
nd_freep(void *pointer_to_pointer)
{
    void *ptr;

    memcpy(&ptr, pointer_to_pointer, sizeof(ptr)); /* the pointer may be of any type */
    free(ptr);
}

char *
nd_strdup(const char *text)
{
    return text != NULL ? nd_strndup(text, strlen(text)) : NULL;
}

char *
nd_strndup(const char *ptr, size_t len)
{
    char *copy;

    ND_INVARIANT(len < SIZE_MAX);
    copy = malloc(len + 1);
    ND_INVARIANT(copy != NULL);
    if (len > 0)
        memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}

char *
nd_asprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vasprintf(&text, fmt, args);
    va_end(args);
    ND_INVARIANT(len >= 0 && text != NULL);
    return text;
}
