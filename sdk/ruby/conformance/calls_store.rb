# frozen_string_literal: true

# Calls about images, volumes, snapshots and the network.
module StoreCalls
  def image_pull(reference:, policy: :missing, force: false)
    Microsandbox::Image.pull(reference, policy: policy, force: force).to_h
  end

  def image_open(reference:) = Microsandbox::Image.open(reference).to_h
  def image_list = { images: Microsandbox::Image.list.map(&:to_h) }
  def image_load(path:, tag: nil) = { references: Microsandbox::Image.load(path, tag: tag) }

  def image_save(references:, path:, format: :docker)
    nothing { Microsandbox::Image.save(references, path, format: format) }
  end

  def image_users(reference:) = { names: Microsandbox::Image.users(reference) }
  def image_remove(reference:) = nothing { Microsandbox::Image.remove(reference) }

  def image_prune(all: false)
    freed, removed = Microsandbox::Image.prune(all: all)
    { freed_bytes: freed, removed_references: removed }
  end

  def volume_create(name:, kind: :dir, size_bytes: nil)
    nothing { Microsandbox::Volume.create(name, kind: kind, size_bytes: size_bytes) }
  end

  def volume_list = { volumes: Microsandbox::Volume.list.map(&:to_h) }
  def volume_inspect(name:) = Microsandbox::Volume.get(name).to_h
  def volume_remove(name:, force: false) = nothing { Microsandbox::Volume.remove(name, force: force) }

  def volume_prune
    names, freed = Microsandbox::Volume.prune
    { names: names, freed_bytes: freed }
  end

  def snapshot_create(sandbox_name:, name:, **options)
    nothing { Microsandbox::Snapshot.create(sandbox_name, name, **options) }
  end

  def snapshot_list = { snapshots: Microsandbox::Snapshot.list.map(&:to_h) }
  def snapshot_inspect(name:) = Microsandbox::Snapshot.get(name).to_h
  def snapshot_verify(name:) = nothing { Microsandbox::Snapshot.verify(name) }
  def snapshot_remove(name:) = nothing { Microsandbox::Snapshot.remove(name) }

  def snapshot_save(name:, path:, with_image: false)
    nothing { Microsandbox::Snapshot.save(name, path, with_image: with_image) }
  end

  def snapshot_load(path:, name: nil) = { name: Microsandbox::Snapshot.load(path, name: name) }

  def commit(sandbox_name:, reference:, **options)
    { id: Microsandbox.commit(sandbox_name, reference, **options) }
  end

  def net_explain(name:, host:, port: 0, protocol: nil)
    Microsandbox.net_explain(name, host, port: port, protocol: protocol)
  end

  def net_rules(name:) = Microsandbox.net_rules(name)
  def net_ports(name:) = { ports: Microsandbox.ports(name) }
end
