/*
 * What the documents of inspect are called inside and out.
 *
 * In Go the fields of a struct have one name in templates ("ID") and another in JSON ("Id"), fields
 * that are empty may be missing in JSON although templates see their zero value, and a map prints
 * and answers differently from a struct. The daemon sends JSON, so three small tables put back what
 * JSON does not say: other names, zero values, and which objects are maps.
 */

#include "value_priv.h"

struct alias {
    const char *go;
    const char *json;
};
static const struct alias aliases[] = {
    {"ID", "Id"},
    {"DNS", "Dns"},
    {"DNSOptions", "DnsOptions"},
    {"DNSSearch", "DnsSearch"},
    {"CPUSetMems", "CpusetMems"},
    {"CPUSetCPUs", "CpusetCpus"},
    {"CPUQuota", "CpuQuota"},
    {"CPUShares", "CpuShares"},
    {"CPUPeriod", "CpuPeriod"},
    {"CPURealtimePeriod", "CpuRealtimePeriod"},
    {"CPURealtimeRuntime", "CpuRealtimeRuntime"},
    {"Driver", "driver"},
    {"Opts", "opts"},
    {"Address", "address"},
    {"HostIP", "HostIp"},
    {"Size", "size"},
};

static const struct nd_value zero_null = {.kind = ND_VALUE_NULL};
static const struct nd_value zero_text = {.kind = ND_VALUE_TEXT};
static const struct nd_value zero_int = {.kind = ND_VALUE_INT};
static const struct nd_value zero_list = {.kind = ND_VALUE_LIST};
static const struct nd_value zero_map = {.kind = ND_VALUE_MAP};

struct zero {
    const char *name;
    const struct nd_value *value;
};
static const struct zero zeros[] = {
    {"Annotations", &zero_map}, {"BaseLayer", &zero_text},   {"Cmd", &zero_list},
    {"Domainname", &zero_text}, {"Driver", &zero_text},      {"Entrypoint", &zero_list},
    {"Env", &zero_list},        {"ExposedPorts", &zero_map}, {"Gateway", &zero_text},
    {"Health", &zero_null},     {"Healthcheck", &zero_null}, {"Hostname", &zero_text},
    {"IPRange", &zero_text},    {"Labels", &zero_map},       {"Layers", &zero_list},
    {"Name", &zero_text},       {"Opts", &zero_map},         {"SizeRootFs", &zero_null},
    {"SizeRw", &zero_null},     {"Subnet", &zero_text},      {"Tmpfs", &zero_map},
    {"Type", &zero_text},       {"User", &zero_text},        {"Variant", &zero_text},
    {"VirtualSize", &zero_int}, {"Volumes", &zero_map},      {"WorkingDir", &zero_text},
};

static const char *const map_names[] = {
    "Annotations",   "AuxiliaryAddresses",
    "Containers",    "ExposedPorts",
    "Labels",        "Networks",
    "NerdctlLabels", "PortBindings",
    "Ports",         "Sysctls",
    "Tmpfs",         "Volumes",
    "annotations",   "labels",
    "opts",          "Extensions",
    "sysctl",
};

struct nd_value *
nd_document_field(const struct nd_value *object, struct nd_str name)
{
    struct nd_value *found = NULL;

    for (size_t i = 0; i < ND_LEN(aliases) && found == NULL; i++) {
        if (nd_str_eqz(name, aliases[i].go))
            found = nd_value_find(object, nd_str(aliases[i].json));
    }
    for (size_t i = 0; i < ND_LEN(zeros) && found == NULL; i++) {
        if (nd_str_eqz(name, zeros[i].name))
            found = (struct nd_value *)zeros[i].value; /* read only, as every shown value */
    }
    return found;
}

bool
nd_document_is_map(struct nd_str name)
{
    for (size_t i = 0; i < ND_LEN(map_names); i++) {
        if (nd_str_eqz(name, map_names[i]))
            return true;
    }
    return false;
}
