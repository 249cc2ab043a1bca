/*
 * The part of a plan about names: image, container, host, labels, annotations.
 *
 * Prefixes that mean something to nerdctl, to containerd or to this program are not the user's to
 * set: through them a label would name files of the host or other people's containers.
 */

#include <ctype.h>

#include "store/names.h"

#include "plan_priv.h"

static const char *const reserved_labels[] = {
    "nerdctl/",
    "nerdctl-grpc/",
    "containerd.io/",
    "io.containerd.image.config.",
};

/* An annotation that names a group makes containers share a shim, and with it their fate. */
static const char *const reserved_annotations[] = {
    "nerdctl/",
    "nerdctl-grpc/",
    "io.containerd.",
    "io.kubernetes.cri",
};

/* nerdctl lets users set these, whatever the prefix. */
static const char free_label[] = "nerdctl/bypass4netns";

static bool
has_prefix(const char *key, const char *const *prefixes, size_t n, const char **ret)
{
    for (size_t i = 0; i < n; i++) {
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0) {
            *ret = prefixes[i];
            return true;
        }
    }
    return false;
}

static struct nd_error *
check_label(struct plan *plan, const char *key, const char *value)
{
    const char *prefix;

    if (key[0] == '\0')
        return nd_error_new(ND_INVALID, "the key is empty");
    if (strncmp(key, free_label, sizeof(free_label) - 1) != 0 &&
        has_prefix(key, reserved_labels, ND_LEN(reserved_labels), &prefix))
        return nd_error_new(ND_INVALID, "keys that begin with \"%s\" are reserved", prefix);
    if (strlen(key) + strlen(value) > ND_LABEL_MAX_BYTES)
        return nd_error_new(ND_INVALID, "key and value together are over %u bytes",
                            ND_LABEL_MAX_BYTES);
    if (value[0] == '\0')
        nd_plan_warn(plan, "label \"%.100s\" has no value: containerd does not keep such labels",
                     key);
    return NULL;
}

static struct nd_error *
check_annotation(const char *key, const char *value)
{
    const char *prefix;

    if (key[0] == '\0')
        return nd_error_new(ND_INVALID, "the key is empty");
    if (has_prefix(key, reserved_annotations, ND_LEN(reserved_annotations), &prefix))
        return nd_error_new(ND_INVALID, "keys that begin with \"%s\" are reserved", prefix);
    if (strlen(key) > 255 || strlen(value) > ND_CONFIG_MAX_TEXT)
        return nd_error_new(ND_INVALID, "the key is over 255 or the value over %u bytes",
                            ND_CONFIG_MAX_TEXT);
    return NULL;
}

static struct nd_error *
check_maps(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;

    ND_TRY(nd_check_count("labels", c->n_labels, ND_CONFIG_MAX_LABELS));
    for (size_t i = 0; i < c->n_labels; i++)
        ND_TRY(nd_in_entry(check_label(plan, c->labels[i]->key, c->labels[i]->value), "labels",
                           c->labels[i]->key));
    ND_TRY(nd_check_count("annotations", c->n_annotations, ND_CONFIG_MAX_ANNOTATIONS));
    for (size_t i = 0; i < c->n_annotations; i++)
        ND_TRY(nd_in_entry(check_annotation(c->annotations[i]->key, c->annotations[i]->value),
                           "annotations", c->annotations[i]->key));
    return NULL;
}

/* Letters, digits, '-', '_' and '.', as names of hosts have them; each label at most 63 bytes. */
static struct nd_error *
check_host_name(const char *name)
{
    size_t label = 0;

    if (name[0] == '\0')
        return NULL;
    if (strlen(name) > ND_HOSTNAME_MAX_BYTES)
        return nd_error_new(ND_INVALID, "is longer than %u bytes", ND_HOSTNAME_MAX_BYTES);
    if (name[0] == '-' || name[0] == '.')
        return nd_error_new(ND_INVALID, "begins with '%c'", name[0]);
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("-_.", *c) == NULL)
            return nd_error_new(ND_INVALID,
                                "has other characters than letters, digits, '-', '_', '.'");
        label = *c == '.' ? 0 : label + 1;
        if (label > 63)
            return nd_error_new(ND_INVALID, "has a part longer than 63 bytes");
    }
    return NULL;
}

static struct nd_error *
check_host_names(const Pb__ContainerConfig *c)
{
    struct nd_error *err = check_host_name(c->hostname);

    if (err != NULL)
        return nd_error_in_field(err, "hostname");
    err = check_host_name(c->domainname);
    if (err != NULL)
        return nd_error_in_field(err, "domainname");
    return NULL;
}

static struct nd_error *
check_image(const Pb__ContainerConfig *c)
{
    struct nd_error *err = nd_check_text(c->image, 512);

    if (err != NULL)
        return nd_error_in_field(err, "image");
    switch (c->pull) {
    case PB__PULL_POLICY__PULL_POLICY_UNSPECIFIED:
    case PB__PULL_POLICY__PULL_POLICY_MISSING:
    case PB__PULL_POLICY__PULL_POLICY_NEVER:
        return NULL;
    case PB__PULL_POLICY__PULL_POLICY_ALWAYS:
        return nd_error_hint(nd_not_yet("pull", "registries are not part of this version"),
                             "load the image, then create the container from it");
    case _PB__PULL_POLICY_IS_INT_SIZE:
        break;
    }
    return nd_error_field("pull", "%d is no pull policy", (int)c->pull);
}

struct nd_error *
nd_plan_names(struct plan *plan)
{
    const Pb__ContainerConfig *c = plan->config;

    ND_TRY(check_image(c));
    if (c->name[0] != '\0')
        ND_TRY(nd_name_check(nd_str(c->name)));
    ND_TRY(check_host_names(c));
    return check_maps(plan);
}
