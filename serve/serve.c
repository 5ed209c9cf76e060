#include "serve/serve.h"

#include <errno.h>
#include <stdlib.h>

#include "base/op.h"
#include "serve/depot.h"
#include "serve/gcsd.h"
#include "serve/s3d.h"
#include "serve/web.h"

struct serve {
	struct web web;
	struct gcsd *gcsd;
	struct s3d *s3d;
	struct web_port *gcs_port;
	struct web_port *s3_port;
};

static int start_depot(struct op *op, struct serve *s,
		       const struct serve_config *c)
{
	int rc = depot_open(op, c->dir, c->sync, &s->web.depot);

	if (rc < 0)
		return rc;
	rc = c->bucket ? depot_bucket_make(s->web.depot, c->bucket, NULL) : 0;
	if (rc < 0 && rc != -EEXIST)
		return op_fail(op, rc, "make bucket %s", c->bucket);
	s->web.faults = faults_new();
	s->web.traffic = traffic_new();
	if (!s->web.faults || !s->web.traffic)
		return op_fail(op, -ENOMEM, "serve");
	return 0;
}

static int start_port(struct op *op, struct serve *s,
		      const struct serve_config *c, int port,
		      const struct web_face *face, struct web_port **ret_port)
{
	int rc;

	if (port == SERVE_PORT_OFF)
		return 0;
	rc = web_listen(&s->web, face, c->bind, port, ret_port);
	if (rc < 0)
		return op_fail(op, rc, "listen on %s:%d", c->bind, port);
	return 0;
}

static int start(struct op *op, struct serve *s, const struct serve_config *c)
{
	int rc = start_depot(op, s, c);

	if (rc < 0)
		return rc;
	s->gcsd = gcsd_new(c->token);
	s->s3d = s3d_new(c->access_key, c->secret);
	if (!s->gcsd || !s->s3d)
		return op_fail(op, -ENOMEM, "serve");
	rc = start_port(op, s, c, c->gcs_port, gcsd_face(s->gcsd),
			&s->gcs_port);
	if (rc == 0)
		rc = start_port(op, s, c, c->s3_port, s3d_face(s->s3d),
				&s->s3_port);
	return rc;
}

int serve_start(struct op *op, const struct serve_config *config,
		struct serve **ret_serve)
{
	struct serve *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return op_fail(op, -ENOMEM, "serve");
	rc = start(op, s, config);
	if (rc < 0)
		serve_stop(s);
	else
		*ret_serve = s;
	return rc;
}

static int port_of(const struct web_port *p)
{
	return p ? web_port_number(p) : SERVE_PORT_OFF;
}

int serve_gcs_port(const struct serve *s)
{
	return port_of(s->gcs_port);
}

int serve_s3_port(const struct serve *s)
{
	return port_of(s->s3_port);
}

void serve_stop(struct serve *s)
{
	atomic_store(&s->web.stop, true);
	web_port_close(s->gcs_port);
	web_port_close(s->s3_port);
	gcsd_free(s->gcsd);
	s3d_free(s->s3d);
	if (s->web.depot)
		depot_close(s->web.depot);
	faults_free(s->web.faults);
	traffic_free(s->web.traffic);
	free(s);
}
