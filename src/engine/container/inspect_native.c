/*
 * A container as containerd knows it: the record with its spec decoded, and its process.
 */

#include <stdio.h>

#include "inspect_priv.h"
#include "status_priv.h"

static void
put_time(struct nd_json_writer *w, const char *key, const Google__Protobuf__Timestamp *ts)
{
    char text[ND_RFC3339_SIZE];

    (void)nd_wall_format(nd_wall_of(ts), text);
    nd_json_put_text(w, key, text);
}

static void
write_any(struct nd_json_writer *w, const Google__Protobuf__Any *any)
{
    if (any == NULL) {
        nd_json_null(w);
        return;
    }
    nd_json_begin_object(w);
    nd_json_put_text(w, "type_url", any->type_url);
    nd_json_put_u64(w, "size", any->value.len);
    nd_json_end_object(w);
}

static void
write_record(const struct inspection *in, struct nd_json_writer *w)
{
    const record *r = in->rec;

    nd_json_put_text(w, "ID", r->id);
    nd_json_key(w, "Labels");
    nd_json_begin_object(w);
    for (size_t i = 0; i < r->n_labels; i++)
        nd_json_put_text(w, r->labels[i]->key, r->labels[i]->value);
    nd_json_end_object(w);
    nd_json_put_text(w, "Image", r->image);
    nd_json_key(w, "Runtime");
    nd_json_begin_object(w);
    nd_json_put_text(w, "Name", r->runtime != NULL ? r->runtime->name : "");
    nd_json_key(w, "Options");
    write_any(w, r->runtime != NULL ? r->runtime->options : NULL);
    nd_json_end_object(w);
    nd_json_put_text(w, "SnapshotKey", r->snapshot_key);
    nd_json_put_text(w, "Snapshotter", r->snapshotter);
    put_time(w, "CreatedAt", r->created_at);
    put_time(w, "UpdatedAt", r->updated_at);
    nd_json_key(w, "Extensions");
    nd_json_begin_object(w);
    for (size_t i = 0; i < r->n_extensions; i++) {
        nd_json_key(w, r->extensions[i]->key);
        write_any(w, r->extensions[i]->value);
    }
    nd_json_end_object(w);
    nd_json_put_text(w, "SandboxID", r->sandbox);
}

static void
write_interface(const struct nd_interface *i, size_t index, struct nd_json_writer *w)
{
    char address[64];

    nd_json_begin_object(w);
    nd_json_put_u64(w, "Index", index + 1);
    nd_json_put_text(w, "Name", i->name);
    nd_json_put_text(w, "HardwareAddr", i->mac);
    nd_json_key(w, "Addrs");
    nd_json_begin_array(w);
    if (i->ip[0] != '\0') {
        (void)snprintf(address, sizeof(address), "%s/%u", i->ip, i->ip_prefix);
        nd_json_text(w, address);
    }
    if (i->ip6[0] != '\0') {
        (void)snprintf(address, sizeof(address), "%s/%u", i->ip6, i->ip6_prefix);
        nd_json_text(w, address);
    }
    nd_json_end_array(w);
    nd_json_end_object(w);
}

static void
write_process(const struct inspection *in, struct nd_json_writer *w)
{
    size_t primary = 0;

    nd_json_begin_object(w);
    nd_json_put_u64(w, "Pid", in->view->pid);
    nd_json_key(w, "Status");
    nd_json_begin_object(w);
    nd_json_put_text(w, "Status", nd_state_word(in->view->state));
    nd_json_put_u64(w, "ExitStatus", in->view->exit != NULL ? in->view->exit->code : 0);
    put_time(w, "ExitTime", in->view->exit != NULL ? in->view->exit->exited_at : NULL);
    nd_json_end_object(w);
    if (in->n_interfaces > 0) {
        nd_json_key(w, "NetNS");
        nd_json_begin_object(w);
        nd_json_key(w, "Interfaces");
        nd_json_begin_array(w);
        for (size_t i = 0; i < in->n_interfaces; i++) {
            write_interface(&in->interfaces[i], i, w);
            if (primary == 0 && !in->interfaces[i].loopback && in->interfaces[i].up)
                primary = i + 1;
        }
        nd_json_end_array(w);
        nd_json_put_u64(w, "PrimaryInterface", primary);
        nd_json_key(w, "PortMappings");
        nd_inspect_port_map(in, w);
        nd_json_end_object(w);
    }
    nd_json_end_object(w);
}

void
nd_inspect_native(const struct inspection *in, struct nd_json_writer *w)
{
    nd_json_begin_object(w);
    write_record(in, w);
    nd_json_key(w, "Spec");
    nd_inspect_value(w, in->spec);
    if (in->t != NULL) {
        nd_json_key(w, "Process");
        write_process(in, w);
    }
    nd_json_end_object(w);
}
