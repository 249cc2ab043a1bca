/* A second name for an image. */

#include "image/images.h"
#include "oci/reference.h"

#include "present_priv.h"
#include "records_priv.h"

struct nd_error *
nd_image_tag(struct nd_host *host, const char *ns, const Pb__ImageServiceTagRequest *req,
             struct nd_arena *arena, Pb__ImageServiceTagResponse *rsp)
{
    struct nd_found_images found;
    struct nd_reference target;
    struct nd_error *err = nd_reference_parse(nd_str(req->target), arena, &target);
    CtImages__Image *record;

    if (err != NULL)
        return nd_error_in_field(nd_error_reason(err, "IMAGE_REFERENCE_INVALID"), "target");
    if (target.digest[0] != '\0')
        return nd_error_field("target",
                              "a name with a digest cannot be given: it is the content's");
    ND_TRY(nd_record_find_field(host, ns, "source", nd_str(req->source), arena, &found));
    ND_TRY(nd_record_put(host, (struct nd_ctrd_scope){.ns = ns}, target.name,
                         found.images[0]->target, arena, &record));
    return nd_image_present(host, ns, record, NULL, arena, &rsp->image);
}
