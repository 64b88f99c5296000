/*
 * A manifest, an index or a config: whatever the bytes, a parse ends, keeps
 * its bounds, and a chosen entry is one of the index.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"

#include "base/banned.h"

/* Only here to link: the facade has it. */
void image_release(struct image *img)
{
	free(img->ref);
	free(img->diff_ids);
	free(img->platform);
	free(img->config_json);
	strv_release(&img->config.entrypoint);
	strv_release(&img->config.cmd);
	strv_release(&img->config.env);
	free(img->config.workdir);
	free(img->config.user);
	free(img->config.stop_signal);
}

static void check_manifest(const uint8_t *data, size_t len)
{
	struct manifest_doc cleanup_manifest d = {0};
	const struct manifest_entry *e = NULL;
	struct platform want;
	struct err err = {0};

	if (manifest_parse(data, len, NULL, &d, &err) < 0) {
		if (!err.msg[0])
			abort();
		return;
	}
	if (d.kind == MANIFEST_IMAGE) {
		if (d.image.nlayers > MANIFEST_MAX_LAYERS || d.index.n)
			abort();
		return;
	}
	if (platform_parse("linux/amd64", &want, NULL) < 0)
		abort();
	if (manifest_choose(&d.index, &want, &e, &err) == 0 &&
	    (e < d.index.entries || e >= d.index.entries + d.index.n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct image img = {0};

	check_manifest(data, len);
	if (len &&
	    manifest_config(data + 1, len - 1, data[0] % 8, &img, NULL) == 0 &&
	    img.nlayers != data[0] % 8)
		abort();
	image_release(&img);
	return 0;
}
