/* Documents of images: what is read from them, and what is refused. */

#include "base/buf.h"
#include "oci/image.h"
#include "oci/limits.h"

#include "check.h"

#define D1 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define D2 "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define D3 "sha256:0000000000000000000000000000000000000000000000000000000000000000"

#define DESC(type, digest) \
    "{\"mediaType\":\"application/vnd.oci.image." type "\",\"digest\":\"" digest "\",\"size\":7}"

static int
begin(void **state)
{
    *state = nd_arena_new(0);
    return 0;
}

static int
end(void **state)
{
    nd_arena_free(*state);
    return 0;
}

static void
media_types_are_classified(void **state)
{
    static const struct {
        const char *type;
        enum nd_oci_kind kind;
        enum nd_oci_compression compression;
    } rows[] = {
        {"application/vnd.oci.image.index.v1+json", ND_OCI_INDEX, ND_OCI_PLAIN},
        {"application/vnd.docker.distribution.manifest.list.v2+json", ND_OCI_INDEX, ND_OCI_PLAIN},
        {"application/vnd.oci.image.manifest.v1+json", ND_OCI_MANIFEST, ND_OCI_PLAIN},
        {"application/vnd.docker.distribution.manifest.v2+json", ND_OCI_MANIFEST, ND_OCI_PLAIN},
        {"application/vnd.oci.image.manifest.v1+json; charset=utf-8", ND_OCI_MANIFEST,
         ND_OCI_PLAIN},
        {"application/vnd.oci.image.config.v1+json", ND_OCI_CONFIG, ND_OCI_PLAIN},
        {"application/vnd.docker.container.image.v1+json", ND_OCI_CONFIG, ND_OCI_PLAIN},
        {"application/vnd.oci.image.layer.v1.tar", ND_OCI_LAYER, ND_OCI_PLAIN},
        {"application/vnd.oci.image.layer.v1.tar+gzip", ND_OCI_LAYER, ND_OCI_GZIP},
        {"application/vnd.oci.image.layer.v1.tar+zstd", ND_OCI_LAYER, ND_OCI_ZSTD},
        {"application/vnd.docker.image.rootfs.diff.tar.gzip", ND_OCI_LAYER, ND_OCI_GZIP},
        {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", ND_OCI_LAYER, ND_OCI_GZIP},
        {"application/vnd.in-toto+json", ND_OCI_OTHER, ND_OCI_PLAIN},
        {"application/vnd.oci.image.layer.v1.tar+gzip+encrypted", ND_OCI_OTHER, ND_OCI_PLAIN},
        {"", ND_OCI_OTHER, ND_OCI_PLAIN},
        {";", ND_OCI_OTHER, ND_OCI_PLAIN},
    };

    (void)state;
    for (size_t i = 0; i < ND_LEN(rows); i++) {
        if (nd_oci_kind(nd_str(rows[i].type)) != rows[i].kind ||
            nd_oci_compression(nd_str(rows[i].type)) != rows[i].compression)
            fail_msg("%s", rows[i].type);
    }
}

static void
an_index_is_read(void **state)
{
    struct nd_oci_index index;

    check_ok(nd_oci_index_parse(
        ND_STR("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
               "\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
               "\"digest\":\"" D1 "\",\"size\":123,\"platform\":{\"architecture\":\"arm\","
               "\"os\":\"linux\",\"variant\":\"v7\",\"os.features\":[\"x\"]},"
               "\"annotations\":{\"a\":\"1\",\"b\":\"2\"}},"
               "{\"digest\":\"" D2 "\",\"size\":0}],\"annotations\":{}}"),
        *state, &index));
    assert_int_equal(index.n_manifests, 2);
    assert_string_equal(index.manifests[0].digest, D1);
    assert_int_equal(index.manifests[0].size, 123);
    assert_true(index.manifests[0].has_platform);
    assert_string_equal(index.manifests[0].platform.variant, "v7");
    assert_string_equal(nd_oci_annotation(&index.manifests[0], "b"), "2");
    assert_null(nd_oci_annotation(&index.manifests[0], "c"));
    assert_false(index.manifests[1].has_platform);
    assert_string_equal(index.manifests[1].media_type, "");
    assert_string_equal(index.media_type, "application/vnd.oci.image.index.v1+json");
}

static void
a_manifest_is_read(void **state)
{
    struct nd_oci_manifest m;

    check_ok(nd_oci_manifest_parse(
        ND_STR("{\"schemaVersion\":2,\"config\":" DESC("config.v1+json", D1) ",\"layers\":[" DESC(
            "layer.v1.tar+gzip", D2) "," DESC("layer.v1.tar+zstd", D3) "]}"),
        *state, &m));
    assert_string_equal(m.config.digest, D1);
    assert_int_equal(m.n_layers, 2);
    assert_string_equal(m.layers[1].digest, D3);
    assert_int_equal(m.layers[1].size, 7);
}

static void
broken_manifests_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "not JSON"},
        {"[]", "not a JSON object"},
        {"{}", "config: is not a descriptor"},
        {"{\"config\":5}", "config: is not a descriptor"},
        {"{\"config\":{\"digest\":\"sha256:abc\",\"size\":1}}", "config.digest:"},
        {"{\"config\":{\"digest\":\"md5:abc\",\"size\":1}}", "config.digest:"},
        {"{\"config\":{\"size\":1}}", "config.digest:"},
        {"{\"config\":{\"digest\":5}}", "config.digest: is a number"},
        {"{\"config\":{\"digest\":\"" D1 "\",\"size\":-1}}", "config.size: is negative"},
        {"{\"config\":{\"digest\":\"" D1 "\",\"size\":1.5}}", "config.size:"},
        {"{\"config\":{\"digest\":\"" D1 "\",\"size\":99999999999999999999}}", "not JSON"},
        {"{\"config\":" DESC("config.v1+json", D1) ",\"layers\":{}}", "layers: is an object"},
        {"{\"config\":" DESC("config.v1+json", D1) ",\"layers\":[null]}", "layers[0]:"},
        {"{\"config\":" DESC("config.v1+json", D1) ",\"layers\":[" DESC("layer.v1.tar", D2) ",{}]}",
         "layers[1].digest:"},
        {"{\"schemaVersion\":1,\"fsLayers\":[]}", "schemaVersion: is 1"},
        {"{\"schemaVersion\":2,\"fsLayers\":[]}", "fsLayers: does not belong"},
        {"{\"config\":" DESC("config.v1+json", D1) ",\"manifests\":[]}",
         "manifests: does not belong into a manifest"},
        {"{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"config\":" DESC(
             "config.v1+json", D1) "}",
         "mediaType:"},
        {"{\"config\":{\"digest\":\"" D1 "\",\"size\":1,\"annotations\":{\"a\":1}}}",
         "config.annotations.a: is a number"},
        {"{\"config\":{\"digest\":\"" D1 "\",\"size\":1,\"platform\":{\"os\":\"a/b\"}}}",
         "platform"},
    };

    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_oci_manifest m = {.n_layers = 77};

        check_message_at(nd_oci_manifest_parse(nd_str(rows[i].text), *state, &m), ND_INVALID,
                         rows[i].says, rows[i].text, __FILE__, __LINE__);
        assert_int_equal(m.n_layers, 77);
    }
}

static void
a_document_is_an_index_or_a_manifest_never_both(void **state)
{
    struct nd_oci_index index;

    check_message(nd_oci_index_parse(ND_STR("{\"manifests\":[],\"layers\":[]}"), *state, &index),
                  ND_INVALID, "layers: does not belong into an index");
    check_message(nd_oci_index_parse(ND_STR("{\"manifests\":[],\"config\":{}}"), *state, &index),
                  ND_INVALID, "config: does not belong into an index");
    check_message(nd_oci_index_parse(ND_STR("{\"mediaType\":\"text/plain\",\"manifests\":[]}"),
                                     *state, &index),
                  ND_INVALID, "mediaType:");
}

/* A list of `n` copies of `element`. */
static void
put_list(struct nd_buf *buf, const char *element, size_t n)
{
    for (size_t i = 0; i < n; i++)
        nd_buf_printf(buf, "%s%s", i > 0 ? "," : "", element);
}

static void
limits_on_lists_are_exact(void **state)
{
    for (size_t over = 0; over < 2; over++) {
        ND_AUTO(nd_buf_fini) struct nd_buf buf = ND_BUF_INIT(8 << 20);
        enum nd_code want = over ? ND_EXHAUSTED : ND_OK;
        struct nd_oci_manifest m;
        struct nd_oci_index index;
        struct nd_oci_config config;

        nd_buf_putz(&buf, "{\"config\":" DESC("config.v1+json", D1) ",\"layers\":[");
        put_list(&buf, DESC("layer.v1.tar", D2), ND_OCI_MAX_LAYERS + over);
        nd_buf_putz(&buf, "]}");
        check_code(nd_oci_manifest_parse(nd_buf_str(&buf), *state, &m), want);

        nd_buf_clear(&buf);
        nd_buf_putz(&buf, "{\"manifests\":[");
        put_list(&buf, DESC("manifest.v1+json", D2), ND_OCI_MAX_MANIFESTS + over);
        nd_buf_putz(&buf, "]}");
        check_code(nd_oci_index_parse(nd_buf_str(&buf), *state, &index), want);

        nd_buf_clear(&buf);
        nd_buf_putz(&buf, "{\"config\":{\"Env\":[");
        put_list(&buf, "\"A=b\"", ND_OCI_MAX_LIST + over);
        nd_buf_putz(&buf, "]}}");
        check_code(nd_oci_config_parse(nd_buf_str(&buf), *state, &config), want);

        nd_buf_clear(&buf);
        nd_buf_putz(&buf, "{\"rootfs\":{\"diff_ids\":[");
        put_list(&buf, "\"" D1 "\"", ND_OCI_MAX_LAYERS + over);
        nd_buf_putz(&buf, "]}}");
        check_code(nd_oci_config_parse(nd_buf_str(&buf), *state, &config), want);
    }
}

static const char config_text[] =
    "{\"architecture\":\"arm64\",\"variant\":\"v8\",\"os\":\"linux\",\"author\":\"me\","
    "\"created\":\"2026-01-02T03:04:05.5Z\",\"config\":{\"User\":\"app:app\","
    "\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},\"Env\":[\"PATH=/bin\",\"A=\"],"
    "\"Entrypoint\":[\"/e\"],\"Cmd\":null,\"Volumes\":{\"/data\":{}},\"WorkingDir\":\"/w\","
    "\"Labels\":{\"k\":\"v\",\"l\":\"\"},\"StopSignal\":\"SIGINT\","
    "\"Healthcheck\":{\"Test\":[\"CMD\",\"a<b\"],\"Interval\":1000000000},\"Unknown\":[1]},"
    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D2 "\",\"" D3 "\"]},"
    "\"history\":[{\"created\":\"2026-01-01T00:00:00Z\",\"created_by\":\"ADD x\"},"
    "{\"empty_layer\":true,\"comment\":\"c\",\"author\":\"a\"}]}";

static void
a_config_is_read(void **state)
{
    struct nd_oci_config c;

    check_ok(nd_oci_config_parse(nd_str(config_text), *state, &c));
    assert_string_equal(c.platform.os, "linux");
    assert_string_equal(c.platform.architecture, "arm64");
    assert_string_equal(c.platform.variant, "");
    assert_true(c.has_created);
    assert_int_equal(c.created.sec, 1767323045);
    assert_string_equal(c.author, "me");
    assert_string_equal(c.user, "app:app");
    assert_string_equal(c.working_dir, "/w");
    assert_string_equal(c.stop_signal, "SIGINT");
    assert_string_equal(c.healthcheck,
                        "{\"Test\":[\"CMD\",\"a\\u003cb\"],\"Interval\":1000000000}");
    assert_int_equal(c.n_env, 2);
    assert_string_equal(c.env[0], "PATH=/bin");
    assert_int_equal(c.n_entrypoint, 1);
    assert_int_equal(c.n_cmd, 0);
    assert_int_equal(c.n_exposed_ports, 2);
    assert_string_equal(c.exposed_ports[1], "53/udp");
    assert_int_equal(c.n_volumes, 1);
    assert_string_equal(c.volumes[0], "/data");
    assert_int_equal(c.n_labels, 2);
    assert_string_equal(c.labels[0].key, "k");
    assert_string_equal(c.labels[0].value, "v");
    assert_int_equal(c.n_diff_ids, 3);
    assert_int_equal(c.n_history, 2);
    assert_string_equal(c.history[0].created_by, "ADD x");
    assert_true(c.history[0].has_created);
    assert_false(c.history[0].empty_layer);
    assert_true(c.history[1].empty_layer);
    assert_false(c.history[1].has_created);
    assert_string_equal(c.history[1].comment, "c");
}

static void
an_empty_config_has_nothing(void **state)
{
    struct nd_oci_config c;

    check_ok(nd_oci_config_parse(ND_STR("{}"), *state, &c));
    assert_string_equal(c.user, "");
    assert_string_equal(c.healthcheck, "");
    assert_false(c.has_created);
    assert_int_equal(c.n_env + c.n_cmd + c.n_labels + c.n_diff_ids + c.n_history, 0);
    assert_string_equal(nd_oci_chain_id(&c, 0, *state), "");
}

static void
broken_configs_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"{\"created\":\"yesterday\"}", "created:"},
        {"{\"config\":[]}", "config: is an array"},
        {"{\"config\":{\"Env\":\"A=b\"}}", "config.Env: is a string"},
        {"{\"config\":{\"Env\":[\"A=b\",5]}}", "config.Env[1]: is a number"},
        {"{\"config\":{\"Env\":[null]}}", "config.Env[0]: is null"},
        {"{\"config\":{\"Labels\":{\"a\":{}}}}", "config.Labels.a: is an object"},
        {"{\"config\":{\"User\":0}}", "config.User:"},
        {"{\"config\":{\"Env\":[\"A=\\u0000\"]}}", "not JSON"},
        {"{\"rootfs\":{\"diff_ids\":[\"sha256:1\"]}}", "rootfs.diff_ids[0]:"},
        {"{\"rootfs\":{\"type\":\"ostree\"}}", "rootfs.type:"},
        {"{\"history\":[5]}", "history[0]:"},
        {"{\"history\":[{},{\"created\":\"x\"}]}", "history[1].created:"},
        {"{\"history\":[{\"empty_layer\":1}]}", "history[0].empty_layer:"},
        {"{\"os\":\"lin ux\"}", "platform"},
    };

    for (size_t i = 0; i < ND_LEN(rows); i++) {
        struct nd_oci_config c;

        check_message_at(nd_oci_config_parse(nd_str(rows[i].text), *state, &c), ND_INVALID,
                         rows[i].says, rows[i].text, __FILE__, __LINE__);
    }
}

static void
chain_ids_follow_the_specification(void **state)
{
    struct nd_oci_config c;

    check_ok(nd_oci_config_parse(nd_str(config_text), *state, &c));
    assert_string_equal(nd_oci_chain_id(&c, 0, *state), "");
    assert_string_equal(nd_oci_chain_id(&c, 1, *state), D1);
    assert_string_equal(nd_oci_chain_id(&c, 2, *state),
                        "sha256:dd8ddd90bdf3ccbd91abd3f399218c9d93e91246734fab743933f42048ac3e2c");
    assert_string_equal(nd_oci_chain_id(&c, 3, *state),
                        "sha256:e42e175799b9a7fc8191fcfa251536eab8235d4a864d131cce4921e27404f6be");
}

static void
an_archive_of_dockers_is_read(void **state)
{
    struct nd_docker_archive a;

    check_ok(nd_docker_archive_parse(
        ND_STR(
            "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\",\"b:2\"],\"Layers\":[\"1/layer.tar\"],"
            "\"LayerSources\":{}},{\"Config\":\"d.json\",\"RepoTags\":null,\"Layers\":[]}]"),
        *state, &a));
    assert_int_equal(a.n_images, 2);
    assert_string_equal(a.images[0].config, "c.json");
    assert_int_equal(a.images[0].n_tags, 2);
    assert_string_equal(a.images[0].tags[1], "b:2");
    assert_string_equal(a.images[0].layers[0], "1/layer.tar");
    assert_int_equal(a.images[1].n_tags, 0);
    assert_int_equal(a.images[1].n_layers, 0);
}

static void
broken_archives_of_dockers_are_refused(void **state)
{
    struct nd_docker_archive a;

    check_message(nd_docker_archive_parse(ND_STR("{}"), *state, &a), ND_INVALID, "not a list");
    check_message(nd_docker_archive_parse(ND_STR("[{}]"), *state, &a), ND_INVALID, "[0].Config:");
    check_message(nd_docker_archive_parse(ND_STR("[{\"Config\":\"c\"},[]]"), *state, &a),
                  ND_INVALID, "[1]: is not an object");
    check_message(
        nd_docker_archive_parse(ND_STR("[{\"Config\":\"c\",\"Layers\":[1]}]"), *state, &a),
        ND_INVALID, "[0].Layers[0]: is a number");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(media_types_are_classified),
        TEST(an_index_is_read),
        TEST(a_manifest_is_read),
        TEST(broken_manifests_are_refused),
        TEST(a_document_is_an_index_or_a_manifest_never_both),
        TEST(limits_on_lists_are_exact),
        TEST(a_config_is_read),
        TEST(an_empty_config_has_nothing),
        TEST(broken_configs_are_refused),
        TEST(chain_ids_follow_the_specification),
        TEST(an_archive_of_dockers_is_read),
        TEST(broken_archives_of_dockers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
