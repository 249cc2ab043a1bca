/*
 * linux.resources: what the container may use, and which devices it may touch.
 *
 * The device rules are refusal of everything, then the nine that every program expects (null, full,
 * zero, tty, random, urandom, console, pts, ptmx), then those that were asked for. A privileged
 * container may touch all.
 */

#include <stdio.h>

#include "spec_priv.h"

struct rule {
    bool allow;
    char type;            /* 'a': any, nothing else is written */
    int64_t major, minor; /* -1: any */
    const char *access;
};

static void
write_rule(struct nd_json_writer *w, struct rule r)
{
    nd_json_begin_object(w);
    nd_json_put_bool(w, "allow", r.allow);
    if (r.type != 'a') {
        nd_json_key(w, "type");
        nd_json_str(w, nd_str_n(&r.type, 1));
        if (r.major >= 0)
            nd_json_put_i64(w, "major", r.major);
        if (r.minor >= 0)
            nd_json_put_i64(w, "minor", r.minor);
    }
    nd_json_put_text(w, "access", r.access);
    nd_json_end_object(w);
}

static void
write_device_rules(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    static const int64_t defaults[][2] = {{1, 3}, {1, 8}, {1, 7},    {5, 0}, {1, 5},
                                          {1, 9}, {5, 1}, {136, -1}, {5, 2}};

    nd_json_key(w, "devices");
    nd_json_begin_array(w);
    if (in->privileged) {
        write_rule(w, (struct rule){true, 'a', -1, -1, "rwm"});
        nd_json_end_array(w);
        return;
    }
    write_rule(w, (struct rule){false, 'a', -1, -1, "rwm"});
    for (size_t i = 0; i < ND_LEN(defaults); i++)
        write_rule(w, (struct rule){true, 'c', defaults[i][0], defaults[i][1], "rwm"});
    for (size_t i = 0; i < in->n_devices; i++) {
        const struct nd_spec_device *d = &in->devices[i];

        write_rule(w, (struct rule){true, d->type, d->major, d->minor, d->access});
    }
    nd_json_end_array(w);
}

static void
write_memory(const struct nd_spec_resources *r, struct nd_json_writer *w)
{
    nd_json_key(w, "memory");
    nd_json_begin_object(w);
    if (r->memory > 0)
        nd_json_put_i64(w, "limit", r->memory);
    if (r->memory_reservation > 0)
        nd_json_put_i64(w, "reservation", r->memory_reservation);
    if (r->memory_swap != 0)
        nd_json_put_i64(w, "swap", r->memory_swap);
    if (r->has_swappiness)
        nd_json_put_u64(w, "swappiness", r->swappiness);
    if (r->oom_kill_disable)
        nd_json_put_bool(w, "disableOOMKiller", true);
    nd_json_end_object(w);
}

static void
write_cpu(const struct nd_spec_resources *r, struct nd_json_writer *w)
{
    nd_json_key(w, "cpu");
    nd_json_begin_object(w);
    if (r->cpu_shares > 0)
        nd_json_put_u64(w, "shares", r->cpu_shares);
    if (r->has_cpu_quota)
        nd_json_put_i64(w, "quota", r->cpu_quota);
    if (r->cpu_period > 0)
        nd_json_put_u64(w, "period", r->cpu_period);
    nd_json_put_i64(w, "realtimeRuntime", r->cpu_rt_runtime);
    nd_json_put_u64(w, "realtimePeriod", r->cpu_rt_period);
    if (r->cpuset_cpus != NULL && r->cpuset_cpus[0] != '\0')
        nd_json_put_text(w, "cpus", r->cpuset_cpus);
    if (r->cpuset_mems != NULL && r->cpuset_mems[0] != '\0')
        nd_json_put_text(w, "mems", r->cpuset_mems);
    nd_json_end_object(w);
}

void
nd_spec_write_resources(const struct nd_spec_input *in, struct nd_json_writer *w)
{
    const struct nd_spec_resources *r = &in->resources;

    nd_json_key(w, "resources");
    nd_json_begin_object(w);
    write_device_rules(in, w);
    write_memory(r, w);
    write_cpu(r, w);
    if (r->pids_limit > 0) {
        nd_json_key(w, "pids");
        nd_json_begin_object(w);
        nd_json_put_i64(w, "limit", r->pids_limit);
        nd_json_end_object(w);
    }
    if (r->blkio_weight > 0) {
        nd_json_key(w, "blockIO");
        nd_json_begin_object(w);
        nd_json_put_u64(w, "weight", r->blkio_weight);
        nd_json_end_object(w);
    }
    nd_json_end_object(w);
}
