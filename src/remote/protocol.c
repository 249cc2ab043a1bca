/* Conversions that several commands need between flags, messages and values. */

#include "protocol.h"

struct nd_wall
nd_protocol_time(const Google__Protobuf__Timestamp *at)
{
    struct nd_wall wall = {0, 0};

    if (at == NULL)
        return wall;
    wall.sec = at->seconds;
    wall.nsec = at->nanos >= 0 && at->nanos <= 999999999 ? at->nanos : 0;
    return wall;
}

Google__Protobuf__Timestamp *
nd_protocol_timestamp(struct nd_arena *arena, struct nd_wall at)
{
    Google__Protobuf__Timestamp *ts = nd_arena_new_object(arena, Google__Protobuf__Timestamp);

    google__protobuf__timestamp__init(ts);
    ts->seconds = at.sec;
    ts->nanos = at.nsec;
    return ts;
}

char **
nd_protocol_texts(struct nd_arena *arena, const struct nd_texts *texts)
{
    char **list = nd_arena_new_array(arena, texts->n + 1, char *);

    for (size_t i = 0; i < texts->n; i++)
        list[i] = nd_arena_str(arena, texts->items[i]);
    return list;
}

struct nd_error *
nd_protocol_mode(struct nd_str text, Pb__InspectMode *ret)
{
    if (nd_str_eqz(text, "dockercompat"))
        *ret = PB__INSPECT_MODE__INSPECT_MODE_DOCKER_COMPAT;
    else if (nd_str_eqz(text, "native"))
        *ret = PB__INSPECT_MODE__INSPECT_MODE_NATIVE;
    else
        return nd_error_new(ND_INVALID, "unknown mode \"%.*s\": it is dockercompat or native",
                            ND_STR_ARG(text));
    return NULL;
}
