/* tag, rmi: names of images. */

#include "cli.h"
#include "logline.h"
#include "nerdctl_methods.h"
#include "targets.h"

static const struct nd_flag rm_flags[] = {
    {"async", '\0', ND_FLAG_BOOL, "", "Do not wait until the content is gone", 0, NULL},
    {"force", 'f', ND_FLAG_BOOL, "", "Although containers use it", 0, NULL},
};

static struct nd_error *
tag_image(void *arg)
{
    struct nd_cli *cli = arg;
    Pb__ImageServiceTagRequest request = PB__IMAGE_SERVICE_TAG_REQUEST__INIT;
    Pb__ImageServiceTagResponse *reply;

    request.source = (char *)nd_cli_arg(cli, 0);
    request.target = (char *)nd_cli_arg(cli, 1);
    request.request_id = nd_cli_request_id(cli);
    return nd_cli_mutate(cli, PB_IMAGE_SERVICE_TAG, &request, &reply);
}

static struct nd_error *
tag(struct nd_cli *cli)
{
    return nd_cli_call(cli, tag_image, cli);
}

static const char *
removed_text(struct nd_arena *a, const Pb__ImageServiceRemoveResponse *reply)
{
    const char *text = "";

    for (size_t i = 0; i < reply->n_untagged; i++)
        text = nd_arena_printf(a, "%s%sUntagged: %s", text, text[0] != '\0' ? "\n" : "",
                               reply->untagged[i]);
    for (size_t i = 0; i < reply->n_deleted; i++)
        text = nd_arena_printf(a, "%s%sDeleted: %s", text, text[0] != '\0' ? "\n" : "",
                               reply->deleted[i]);
    return text[0] != '\0' ? text : NULL;
}

static struct nd_error *
rm_one(struct nd_target_job *job)
{
    const struct nd_flags *flags = job->cli->flags;
    Pb__ImageServiceRemoveRequest request = PB__IMAGE_SERVICE_REMOVE_REQUEST__INIT;
    Pb__ImageServiceRemoveResponse *reply;
    struct nd_error *err;

    request.image = (char *)job->name;
    request.force = nd_flag_bool(flags, "force");
    request.async = nd_flag_bool(flags, "async");
    request.request_id = nd_cli_request_id(job->cli);
    err = nd_cli_mutate(job->cli, PB_IMAGE_SERVICE_REMOVE, &request, &reply);
    if (request.force && nd_error_code(err) == ND_NOT_FOUND) {
        nd_line(ND_LINE_ERROR, "%s", nd_error_message(err));
        nd_error_free(err);
        return NULL;
    }
    if (err != NULL)
        return err;
    job->text = removed_text(job->cli->arena, reply);
    return NULL;
}

static struct nd_error *
rm(struct nd_cli *cli)
{
    return nd_targets_run(cli, rm_one, NULL);
}

const struct nd_command nd_command_image_tag = {
    .path = "image tag",
    .aliases = "tag",
    .usage = "tag [flags] SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    .help = "Give an image another name",
    .min_args = 2,
    .max_args = 2,
    .marks = ND_COMMAND_USAGE,
    .run = tag,
};

const struct nd_command nd_command_image_rm = {
    .path = "image rm",
    .aliases = "rmi,image remove",
    .usage = "rmi [flags] IMAGE [IMAGE, ...]",
    .help = "Remove images",
    .min_args = 1,
    .max_args = ND_ARGS_ANY,
    .flags = ND_FLAG_TABLE(rm_flags),
    .run = rm,
};
