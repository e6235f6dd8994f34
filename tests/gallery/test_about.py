"""What a gallery says of itself, without its templates."""

from __future__ import annotations

from arcwise.gallery import GalleryCalibration, open_gallery, sql


def test_about_reads_no_template(path, unit, monkeypatch):
    vectors = unit(4)
    with open_gallery(path, create=True, dim=16) as one, open_gallery(path) as two:
        empty = one.about()
        assert (empty.dim, empty.fingerprint, empty.model_path) == (16, None, None)
        assert empty.templates == 0
        two.enrol([("ann", vectors[0]), ("bob", vectors[1])])
        monkeypatch.setattr(sql, "read_rows", None)
        after = one.about()
        assert after.templates == 2
        assert after.changes > empty.changes


def test_every_change_of_the_templates_shows(path, unit):
    vectors = unit(4)
    with open_gallery(path, create=True, dim=16) as gallery:
        seen = [gallery.about()]
        gallery.enrol([("ann", vectors[0])])
        seen.append(gallery.about())
        gallery.enrol([("ann", vectors[1])], replace=True)  # as many as before
        seen.append(gallery.about())
        gallery.remove("ann")
        seen.append(gallery.about())
        gallery.keep_calibration(GalleryCalibration(1, 1, (), "nothing"))
        assert gallery.about() == seen[-1]
    assert [one.templates for one in seen] == [0, 1, 1, 0]
    assert len({one.changes for one in seen}) == 4
