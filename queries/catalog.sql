-- ListCatalogRelations returns the schemas, tables, views, sequences, composite
-- types, enumerations, domains and functions of the schemas, without what belongs
-- to an extension. An owner who is a superuser has another name in each deployment.
--
-- name: ListCatalogRelations :many
WITH scope AS (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY(@schema_names::text[])),
facts AS (
  SELECT n.oid, quote_ident(n.nspname) AS place, 'schema' AS kind, '' AS name, jsonb_build_object(
    'owner', CASE WHEN n.nspname <> 'public' THEN (
      SELECT CASE WHEN o.rolsuper THEN 'a superuser' ELSE quote_ident(o.rolname) END FROM pg_catalog.pg_roles o WHERE o.oid = n.nspowner) END) AS attributes
  FROM pg_catalog.pg_namespace n WHERE n.oid IN (SELECT oid FROM scope)
  UNION ALL
  SELECT c.oid, format('%I.%I', s.nspname, c.relname),
    CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
    '', jsonb_build_object(
      'owner', (SELECT CASE WHEN o.rolsuper THEN 'a superuser' ELSE quote_ident(o.rolname) END FROM pg_catalog.pg_roles o WHERE o.oid = c.relowner),
      'persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
      'row security', CASE WHEN c.relrowsecurity THEN 'enabled' END,
      'forced row security', CASE WHEN c.relforcerowsecurity THEN 'enabled' END,
      'options', array_to_string(c.reloptions, ', '),
      'replica identity', CASE c.relreplident WHEN 'f' THEN 'full' WHEN 'i' THEN 'index'
        WHEN 'n' THEN CASE WHEN c.relkind IN ('r', 'p') THEN 'nothing' END END,
      'partition key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
      'partition bound', CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
      'inherits', (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
        FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
      'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)
  FROM pg_catalog.pg_class c JOIN scope s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL
  SELECT c.oid, format('%I.%I', s.nspname, c.relname), 'sequence', '', jsonb_build_object(
      'owner', (SELECT CASE WHEN o.rolsuper THEN 'a superuser' ELSE quote_ident(o.rolname) END FROM pg_catalog.pg_roles o WHERE o.oid = c.relowner),
      'type', format_type(q.seqtypid, NULL), 'start', q.seqstart::text, 'increment', q.seqincrement::text,
      'minimum', q.seqmin::text, 'maximum', q.seqmax::text, 'cache', q.seqcache::text,
      'cycle', CASE WHEN q.seqcycle THEN 'yes' END,
      'identity', CASE WHEN d.deptype = 'i' THEN 'yes' END,
      'owned by', d.refobjid::regclass::text || '.' || quote_ident(a.attname))
  FROM pg_catalog.pg_class c JOIN scope s ON s.oid = c.relnamespace
  JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  UNION ALL
  SELECT t.oid, format('%I.%I', s.nspname, t.typname),
    CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite type' END,
    '', jsonb_build_object(
      'owner', (SELECT CASE WHEN o.rolsuper THEN 'a superuser' ELSE quote_ident(o.rolname) END FROM pg_catalog.pg_roles o WHERE o.oid = t.typowner),
      'values', CASE WHEN t.typtype = 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), E'\n' ORDER BY e.enumsortorder)
        FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) END,
      'type', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
      'not null', CASE WHEN t.typtype = 'd' AND t.typnotnull THEN 'yes' END,
      'default', CASE WHEN t.typtype = 'd' THEN t.typdefault END,
      'subtype', (SELECT format_type(r.rngsubtype, NULL) FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid),
      'columns', CASE WHEN t.typtype = 'c' THEN (
        SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), E'\n' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END)
  FROM pg_catalog.pg_type t JOIN scope s ON s.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
  WHERE t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c'
  UNION ALL
  SELECT p.oid, format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END,
    '', jsonb_build_object(
      'owner', (SELECT CASE WHEN o.rolsuper THEN 'a superuser' ELSE quote_ident(o.rolname) END FROM pg_catalog.pg_roles o WHERE o.oid = p.proowner),
      'definition', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END)
  FROM pg_catalog.pg_proc p JOIN scope s ON s.oid = p.pronamespace
)
SELECT f.place::text AS place, f.kind::text AS kind, f.name::text AS name, jsonb_strip_nulls(f.attributes)::jsonb AS attributes
FROM facts f
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.objid = f.oid AND x.deptype = 'e');

-- ListCatalogParts returns what tables and domains have: columns, constraints,
-- indexes that are no constraint's, triggers, rules and policies.
--
-- name: ListCatalogParts :many
WITH tables AS (
  SELECT c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) AS place
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY(@schema_names::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.objid = c.oid AND x.deptype = 'e')
),
facts AS (
  SELECT t.place, 'column' AS kind, quote_ident(a.attname) AS name, jsonb_build_object(
      'type', format_type(a.atttypid, a.atttypmod),
      'not null', CASE WHEN a.attnotnull THEN 'yes' END,
      'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
      'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
      'generated kind', CASE a.attgenerated WHEN 's' THEN 'STORED' WHEN 'v' THEN 'VIRTUAL' END,
      'identity', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END,
      'collation', CASE WHEN a.attcollation <> y.typcollation THEN a.attcollation::regcollation::text END) AS attributes
  FROM tables t
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE t.relkind IN ('r', 'p', 'f')
  UNION ALL
  SELECT coalesce(t.place, format('%I.%I', n.nspname, y.typname)), 'constraint', quote_ident(k.conname), jsonb_build_object(
      'definition', pg_get_constraintdef(k.oid),
      'of', CASE WHEN t.oid IS NULL THEN 'domain' END,
      'disabled', (
        SELECT string_agg(format('%s %I', g.tgrelid::regclass, g.tgname), E'\n' ORDER BY g.tgname)
        FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgisinternal AND g.tgenabled <> 'O'))
  FROM pg_catalog.pg_constraint k
  LEFT JOIN tables t ON t.oid = k.conrelid
  LEFT JOIN pg_catalog.pg_type y ON y.oid = k.contypid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace
  WHERE k.contype IN ('p', 'u', 'c', 'f', 'x') AND (t.oid IS NOT NULL OR n.nspname = ANY(@schema_names::text[]))
  UNION ALL
  SELECT t.place, 'index', quote_ident(c.relname), jsonb_build_object(
      'definition', pg_get_indexdef(i.indexrelid),
      'valid', CASE WHEN NOT (i.indisvalid AND i.indisready AND i.indislive) THEN 'no' END)
  FROM pg_catalog.pg_index i JOIN tables t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
  UNION ALL
  SELECT t.place, 'trigger', quote_ident(g.tgname), jsonb_build_object(
      'definition', pg_get_triggerdef(g.oid),
      'fires', CASE g.tgenabled WHEN 'O' THEN 'origin' WHEN 'D' THEN 'never' WHEN 'R' THEN 'replica' ELSE 'always' END)
  FROM pg_catalog.pg_trigger g JOIN tables t ON t.oid = g.tgrelid
  WHERE NOT g.tgisinternal
  UNION ALL
  SELECT t.place, 'rule', quote_ident(r.rulename), jsonb_build_object(
      'definition', pg_get_ruledef(r.oid),
      'fires', CASE r.ev_enabled WHEN 'O' THEN 'origin' WHEN 'D' THEN 'never' WHEN 'R' THEN 'replica' ELSE 'always' END)
  FROM pg_catalog.pg_rewrite r JOIN tables t ON t.oid = r.ev_class
  WHERE r.rulename <> '_RETURN'
  UNION ALL
  SELECT t.place, 'policy', quote_ident(p.polname), jsonb_build_object(
      'as', CASE WHEN NOT p.polpermissive THEN 'RESTRICTIVE' END,
      'for', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
        ELSE 'ALL' END,
      'to', (SELECT string_agg(CASE o.oid WHEN 0 THEN 'PUBLIC' ELSE o.oid::regrole::text END, ', ' ORDER BY o.oid::regrole::text)
        FROM unnest(p.polroles) AS o (oid)),
      'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))
  FROM pg_catalog.pg_policy p JOIN tables t ON t.oid = p.polrelid
)
SELECT f.place::text AS place, f.kind::text AS kind, f.name::text AS name, jsonb_strip_nulls(f.attributes)::jsonb AS attributes
FROM facts f;

-- ListCatalogPrivileges returns who may do what with schemas, tables, columns,
-- sequences and functions, apart from their owners, and what the default
-- privileges say of objects to come. A grantee of nobody is everybody.
--
-- name: ListCatalogPrivileges :many
WITH scope AS (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname = ANY(@schema_names::text[])),
objects AS (
  SELECT n.oid, quote_ident(n.nspname) AS place, 'SCHEMA' AS type, coalesce(n.nspacl, acldefault('n', n.nspowner)) AS acl,
    n.nspowner AS owner, NULL::text AS col
  FROM pg_catalog.pg_namespace n WHERE n.oid IN (SELECT oid FROM scope)
  UNION ALL
  SELECT c.oid, format('%I.%I', s.nspname, c.relname), CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
    coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)), c.relowner, NULL
  FROM pg_catalog.pg_class c JOIN scope s ON s.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT c.oid, format('%I.%I', s.nspname, c.relname), 'TABLE', a.attacl, c.relowner, quote_ident(a.attname)
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN scope s ON s.oid = c.relnamespace
  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL
  SELECT p.oid, format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
    CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
    coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner, NULL
  FROM pg_catalog.pg_proc p JOIN scope s ON s.oid = p.pronamespace
),
granted AS (
  SELECT o.place, 'privileges' AS kind, o.type AS type, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS grantee,
    x.privilege_type || coalesce(' (' || o.col || ')', '') AS privilege, x.is_grantable
  FROM objects o, aclexplode(o.acl) AS x (grantor, grantee, privilege_type, is_grantable)
  WHERE x.grantee <> o.owner
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.objid = o.oid AND e.deptype = 'e')
  UNION ALL
  SELECT 'for role ' || d.defaclrole::regrole::text || coalesce(' in schema ' || quote_ident(s.nspname), ''), 'default privileges',
    CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
      WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END,
    CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, x.privilege_type, x.is_grantable
  FROM pg_catalog.pg_default_acl d
  LEFT JOIN pg_catalog.pg_namespace s ON s.oid = d.defaclnamespace, aclexplode(d.defaclacl) AS x (grantor, grantee, privilege_type, is_grantable)
  WHERE x.grantee <> d.defaclrole
)
SELECT g.place::text AS place, g.kind::text AS kind, (g.type || ' TO ' || g.grantee)::text AS name,
  jsonb_object_agg(g.privilege, CASE WHEN g.is_grantable THEN 'with grant option' ELSE 'yes' END)::jsonb AS attributes
FROM granted g
GROUP BY g.place, g.kind, g.type, g.grantee;

-- ListCatalogGlobals returns what belongs to no schema: the named roles with their
-- memberships in each other and their settings, event triggers, and extensions.
--
-- name: ListCatalogGlobals :many
WITH facts AS (
  SELECT quote_ident(r.rolname) AS place, 'role' AS kind, '' AS name, jsonb_build_object(
      'superuser', CASE WHEN r.rolsuper THEN 'yes' END, 'inherit', CASE WHEN r.rolinherit THEN 'yes' END,
      'createrole', CASE WHEN r.rolcreaterole THEN 'yes' END, 'createdb', CASE WHEN r.rolcreatedb THEN 'yes' END,
      'login', CASE WHEN r.rolcanlogin THEN 'yes' END, 'replication', CASE WHEN r.rolreplication THEN 'yes' END,
      'bypassrls', CASE WHEN r.rolbypassrls THEN 'yes' END) AS attributes
  FROM pg_catalog.pg_roles r WHERE r.rolname = ANY(@role_names::text[])
  UNION ALL
  SELECT quote_ident(r.rolname), 'membership', m.roleid::regrole::text,
    jsonb_build_object('admin', CASE WHEN m.admin_option THEN 'yes' END)
  FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.member
  WHERE r.rolname = ANY(@role_names::text[])
  UNION ALL
  SELECT quote_ident(r.rolname), 'setting', split_part(o.setting, '=', 1),
    jsonb_build_object('value', substr(o.setting, strpos(o.setting, '=') + 1),
      'database', CASE WHEN s.setdatabase <> 0 THEN 'this' END)
  FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS o (setting)
  WHERE r.rolname = ANY(@role_names::text[])
    AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))
  UNION ALL
  SELECT quote_ident(e.evtname), 'event trigger', '', jsonb_build_object(
      'event', e.evtevent, 'tags', array_to_string(e.evttags, ', '), 'function', e.evtfoid::regproc::text,
      'fires', CASE e.evtenabled WHEN 'O' THEN 'origin' WHEN 'D' THEN 'never' WHEN 'R' THEN 'replica' ELSE 'always' END)
  FROM pg_catalog.pg_event_trigger e
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.objid = e.oid AND x.deptype = 'e')
  UNION ALL
  SELECT quote_ident(x.extname), 'extension', '', jsonb_build_object('version', x.extversion, 'schema', x.extnamespace::regnamespace::text)
  FROM pg_catalog.pg_extension x
)
SELECT f.place::text AS place, f.kind::text AS kind, f.name::text AS name, jsonb_strip_nulls(f.attributes)::jsonb AS attributes
FROM facts f;

-- SetCatalogNames makes names come with their schema until the transaction ends,
-- whatever the session's search path is.
--
-- name: SetCatalogNames :exec
SELECT set_config('search_path', 'pg_catalog', true);

-- GetServerMajor returns the server's major version.
--
-- name: GetServerMajor :one
SELECT (current_setting('server_version_num')::int / 10000)::int AS major;
