/* Method paths and content types. */

#include "wire_priv.h"

bool
nd_path_split(struct nd_str path, struct nd_str *ret_service, struct nd_str *ret_method)
{
    size_t slash = nd_str_rfind(path, '/');

    if (!nd_str_starts(path, ND_STR("/")) || slash == 0)
        return false;
    *ret_service = nd_str_sub(path, 1, slash - 1);
    *ret_method = nd_str_from(path, slash + 1);
    return true;
}

bool
nd_is_grpc_content_type(struct nd_str value)
{
    static const struct nd_str base = {"application/grpc", 16};

    if (nd_str_eq(value, base))
        return true;
    if (!nd_str_eq_nocase(nd_str_sub(value, 0, base.len), base))
        return false;
    return value.len == base.len || value.ptr[base.len] == '+' || value.ptr[base.len] == ';';
}
