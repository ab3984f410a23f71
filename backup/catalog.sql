-- What the schema of the database is, one line for each fact, in an order that
-- does not depend on when things were made. Two databases of the same major
-- version of PostgreSQL that give the same lines have the same schema: a restored
-- one is compared by it. Numbers of objects, and what the server adds by itself,
-- are left out; whatever belongs to an extension is its version's business.
--
-- Expressions are without parentheses and blanks: a dump writes (a OR b) OR c, and
-- what reads it again makes a OR b OR c of it.
WITH here AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)'
), tables AS (
  SELECT c.oid, h.nspname || '.' || c.relname AS name, c.relkind, c.relpersistence, c.relowner, c.relacl,
    c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relispartition
  FROM pg_class c JOIN here h ON h.oid = c.relnamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT line FROM (
  SELECT format('schema %s owner %s', n.nspname, pg_get_userbyid(n.nspowner)) AS line
  FROM here h JOIN pg_namespace n ON n.oid = h.oid
  UNION ALL
  SELECT format('grant on schema %s: %s', h.nspname, a.text)
  FROM here h JOIN pg_namespace n ON n.oid = h.oid, LATERAL (
    SELECT string_agg(format('%s %s %s %s', pg_get_userbyid(x.grantee), x.privilege_type, x.is_grantable, ''), ', '
      ORDER BY pg_get_userbyid(x.grantee), x.privilege_type) AS text
    FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x) a
  UNION ALL
  SELECT format('extension %s %s', extname, extversion) FROM pg_extension
  UNION ALL
  SELECT format('relation %s kind %s %s owner %s rls %s %s options %s', name, relkind, relpersistence,
    pg_get_userbyid(relowner), relrowsecurity, relforcerowsecurity, reloptions)
  FROM tables WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  UNION ALL
  SELECT format('grant on %s: %s', t.name, a.text)
  FROM tables t, LATERAL (
    SELECT string_agg(format('%s %s %s', pg_get_userbyid(x.grantee), x.privilege_type, x.is_grantable), ', '
      ORDER BY pg_get_userbyid(x.grantee), x.privilege_type) AS text
    FROM aclexplode(coalesce(t.relacl,
      acldefault(CASE t.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, t.relowner))) x) a
  WHERE t.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  UNION ALL
  SELECT format('column %s.%s number %s type %s null %s default %s generated %s identity %s collation %s grants %s',
    t.name, a.attname, row_number() OVER (PARTITION BY t.oid ORDER BY a.attnum),
    format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, translate(pg_get_expr(d.adbin, d.adrelid), E'() \n', ''), a.attgenerated,
    a.attidentity, (SELECT collname FROM pg_collation WHERE oid = a.attcollation),
    (SELECT string_agg(format('%s %s', pg_get_userbyid(x.grantee), x.privilege_type), ', '
       ORDER BY pg_get_userbyid(x.grantee), x.privilege_type) FROM aclexplode(a.attacl) x))
  FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL
  SELECT format('constraint %s.%s validated %s: %s', coalesce(t.name, ''), c.conname, c.convalidated,
    translate(pg_get_constraintdef(c.oid), E'() \n', ''))
  FROM pg_constraint c JOIN here h ON h.oid = c.connamespace LEFT JOIN tables t ON t.oid = c.conrelid
  WHERE c.contype <> 'n' -- Newer servers keep NOT NULL there as well.
  UNION ALL
  SELECT format('index %s valid %s: %s', t.name, i.indisvalid, translate(pg_get_indexdef(i.indexrelid), E'() \n', ''))
  FROM pg_index i JOIN tables t ON t.oid = i.indrelid
  UNION ALL
  SELECT format('trigger %s.%s enabled %s: %s', t.name, g.tgname, g.tgenabled, translate(pg_get_triggerdef(g.oid), E'() \n', ''))
  FROM pg_trigger g JOIN tables t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal
  UNION ALL
  SELECT format('event trigger %s on %s enabled %s runs %s', evtname, evtevent, evtenabled, evtfoid::regproc)
  FROM pg_event_trigger
  UNION ALL
  SELECT format('view %s: %s', name, translate(pg_get_viewdef(oid), E'() \n', '')) FROM tables WHERE relkind IN ('v', 'm')
  UNION ALL
  SELECT format('function %s.%s owner %s: %s', h.nspname, p.proname, pg_get_userbyid(p.proowner), pg_get_functiondef(p.oid))
  FROM pg_proc p JOIN here h ON h.oid = p.pronamespace
  WHERE p.prokind IN ('f', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  UNION ALL
  SELECT format('grant on function %s: %s', p.oid::regprocedure, a.text)
  FROM pg_proc p JOIN here h ON h.oid = p.pronamespace, LATERAL (
    SELECT string_agg(format('%s %s', pg_get_userbyid(x.grantee), x.privilege_type), ', '
      ORDER BY pg_get_userbyid(x.grantee), x.privilege_type) AS text
    FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x) a
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  UNION ALL
  SELECT format('enum %s.%s owner %s: %s', h.nspname, y.typname, pg_get_userbyid(y.typowner),
    (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid))
  FROM pg_type y JOIN here h ON h.oid = y.typnamespace WHERE y.typtype = 'e'
  UNION ALL
  SELECT format('domain %s.%s: %s null %s default %s', h.nspname, y.typname, format_type(y.typbasetype, y.typtypmod),
    NOT y.typnotnull, y.typdefault)
  FROM pg_type y JOIN here h ON h.oid = y.typnamespace WHERE y.typtype = 'd'
  UNION ALL
  SELECT format('policy %s.%s %s %s roles %s using %s check %s', t.name, p.polname, p.polcmd, p.polpermissive,
    (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r)::text END, ', ' ORDER BY r) FROM unnest(p.polroles) r),
    translate(pg_get_expr(p.polqual, p.polrelid), E'() \n', ''), translate(pg_get_expr(p.polwithcheck, p.polrelid), E'() \n', ''))
  FROM pg_policy p JOIN tables t ON t.oid = p.polrelid
) facts
ORDER BY line COLLATE "C"
